import io
import re

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from vgexp.claims.statements import Missing
from vgexp.figures.pictures import GROUPS_SHOWN, Picture, Table, draw_each, left_out, save, seeds_in
from vgexp.figures.style import STYLE, panels


def picture(results=None):
    with panels(1, 1) as (figure, axes):
        axes[0, 0].plot([1, 2], [3, 4], label="line")
        axes[0, 0].legend()
    return Picture(figure, "A line.", pd.DataFrame({"x": [1, 2], "value": [3, 4]}))


def missing(results):
    raise Missing("no finished runs in the grid g")


def test_files_are_the_same_each_time(tmp_path):
    for name in ("a", "b"):
        text = save(picture().figure, tmp_path / "new", name)
        assert (tmp_path / "new" / f"{name}.svg").read_text() == text
    a, b = (tmp_path / "new" / f"{name}.svg" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert a.with_suffix(".png").read_bytes() == b.with_suffix(".png").read_bytes()
    assert "<text" in a.read_text() and not re.search(r"<dc:date>", a.read_text())


def test_a_figure_is_placed_once_and_drawn_once_a_file(tmp_path, monkeypatch):
    """As matplotlib itself would draw it, which draws it twice."""
    figure, text = picture().figure, io.StringIO()
    with mpl.rc_context(STYLE):
        picture().figure.savefig(text, format="svg", metadata={"Date": None})
    drawn, draw = [], Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: drawn.append(self) or draw(self, renderer))
    dpi, canvas, engine = figure.dpi, figure.canvas, figure.get_layout_engine()
    assert save(figure, tmp_path, "a") == text.getvalue()
    assert len(drawn) == 2
    assert (figure.dpi, figure.canvas, figure.get_layout_engine()) == (dpi, canvas, engine)


def test_what_cannot_be_drawn_says_why():
    drawn = draw_each({"one": picture, "other": missing}, None)
    assert list(drawn) == ["one", "other"]
    assert drawn["one"].caption == "A line."
    assert drawn["other"] == "not drawn: no finished runs in the grid g"


def test_pictures_and_tables_show_themselves_in_a_notebook():
    assert picture()._repr_png_().startswith(b"\x89PNG")
    html = Table(pd.DataFrame({"a<b": [1]}), "")._repr_html_()
    assert "a&lt;b" in html and "<td>1</td>" in html


def test_a_picture_in_words_is_its_caption():
    assert repr(picture()) == "Picture('A line.', 2 rows)"
    assert repr(Table(pd.DataFrame({"a": [1]}), "One.")) == "Table('One.', 1 row)"


def test_captions_say_which_groups_are_left_out():
    assert left_out(GROUPS_SHOWN) == ""
    assert left_out(GROUPS_SHOWN + 3) == f"; the first {GROUPS_SHOWN} of {GROUPS_SHOWN + 3} groups"


def test_seeds_of_a_frame_are_a_number_or_a_range():
    assert seeds_in(pd.DataFrame({"seeds": [0, 5, 5]})) == "5 seeds"
    assert seeds_in(pd.DataFrame({"seeds": [1.0, 0.0]})) == "1 seed"
    assert seeds_in(pd.DataFrame({"seeds": [5, 2, 0, 3]})) == "2 to 5 seeds"
