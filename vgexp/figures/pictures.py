"""Pictures: a figure with its caption and the frame that it is drawn from; what pages and notebooks show."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from vgexp.claims import Missing
from vgexp.config import counted
from vgexp.figures.style import STYLE
from vgexp.results import Results, write_atomically

Canvas = TypeVar("Canvas", FigureCanvasAgg, FigureCanvasSVG)
GROUPS_SHOWN = 24
"""Groups that get a panel, the first of however many there are."""


class Picture(NamedTuple):
    """A figure, what it shows, and the numbers in it.

    The frame has a row for every mark, point of a line, cell or bin; the figure can be drawn again from it alone. Its
    columns are those of the tables (`run seed step layer part quantity ...`) and:

    `group`: runs that differ in their seed only, by what sets them apart; or what else a line or a panel stands for.
    `value`, `low`, `high`: what is drawn, and the ends of its interval or band; the caption says which.
    `seeds`: how many of them are in the value.
    `theory`, `paper`: what theory predicts there, what the paper's plot shows there.
    """

    figure: Figure
    caption: str
    frame: pd.DataFrame

    def __repr__(self) -> str:
        return f"Picture({self.caption!r}, {counted(len(self.frame), 'row')})"

    def _repr_png_(self) -> bytes:
        """In a notebook a picture shows itself."""
        stream = io.BytesIO()
        with mpl.rc_context(STYLE):
            self.figure.savefig(stream, format="png", dpi=110)
        return stream.getvalue()


class Table(NamedTuple):
    """Rows as they are shown, and what they say."""

    rows: pd.DataFrame
    caption: str

    def __repr__(self) -> str:
        return f"Table({self.caption!r}, {counted(len(self.rows), 'row')})"

    def _repr_html_(self) -> str:
        """In a notebook a table shows itself."""
        return self.rows.to_html(index=False)


def save(figure: Figure, folder: Path, name: str) -> str:
    """Writes <name>.svg and <name>.png, the same bytes each time; returns the SVG's text.

    Its parts are placed once, for the SVG: to measure all texts takes as long as to draw them.
    """
    text = svg(figure)
    write_atomically(folder / f"{name}.svg", text.encode())
    with _canvas(figure, FigureCanvasAgg, 160, placed=True) as canvas:
        write_atomically(folder / f"{name}.png", canvas.print_png)
    return text


def svg(figure: Figure) -> str:
    """The figure as the text of an SVG file. It is drawn once; `savefig` would draw it twice, first to place its
    parts."""
    stream = io.StringIO()
    with _canvas(figure, FigureCanvasSVG, figure.dpi) as canvas:
        canvas.print_svg(stream, metadata={"Date": None})
    return stream.getvalue()


@contextmanager
def _canvas(figure: Figure, kind: type[Canvas], dpi: float, placed: bool = False) -> Iterator[Canvas]:
    """A canvas to draw a figure on in the house style, which then has its own again. `placed`: its parts stay where
    they are."""
    before, resolution, engine = figure.canvas, figure.dpi, figure.get_layout_engine()
    with mpl.rc_context(STYLE):
        try:
            figure.dpi = dpi
            if placed and engine is not None:
                figure.set_layout_engine("none")
            yield kind(figure)
        finally:
            figure.set_canvas(before)
            figure.dpi = resolution
            if placed and engine is not None:
                figure.set_layout_engine(engine)


def draw_each(functions: Mapping[str, Callable[[Results], Picture]], results: Results) -> dict[str, Picture | str]:
    """The pictures that the results can fill, by name; in place of one that cannot be drawn, why."""
    drawn: dict[str, Picture | str] = {}
    for name, function in functions.items():
        try:
            drawn[name] = function(results)
        except Missing as reason:
            drawn[name] = f"not drawn: {reason}"
    return drawn


def seeds_in(frame: pd.DataFrame) -> str:
    """How many seeds are in the values of a frame: `5 seeds`, or `2 to 5 seeds` where that differs from row to row."""
    there = [int(seeds) for seeds in frame["seeds"] if seeds > 0] or [0]
    least, most = min(there), max(there)
    return f"{'' if least == most else f'{least} to '}{counted(most, 'seed')}"


def left_out(there: int) -> str:
    """What a caption adds where there are more groups than panels; empty where all are shown."""
    return f"; the first {GROUPS_SHOWN} of {there} groups" if there > GROUPS_SHOWN else ""
