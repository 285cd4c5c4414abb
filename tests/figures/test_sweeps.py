import re

import numpy as np
import pytest

import vgexp
from vgexp.figures import style
from vgexp.figures import sweeps as figures


@pytest.fixture
def results():
    return vgexp.run(
        "data=digits", "model.depth=4", "model.width=10", "steps=20", "probe=full", "seed=0,1", "init.name=he,standard"
    )


def test_every_figure_is_drawn_with_labels_on_both_axes(results):
    drawn = figures.draw_all(results)
    assert len(drawn) == 7
    for name, picture in drawn.items():
        axes = [ax for ax in picture.figure.axes if ax.get_label() != "<colorbar>"]
        assert any(ax.get_xlabel() for ax in axes), name
        assert any(ax.get_ylabel() for ax in axes), name
        assert "seed" in picture.caption, name


def test_points_are_the_tables_and_lines_the_theory(results):
    ax = figures.profiles(results).figure.axes[1]
    runs = results.runs[results.runs["init.name"] == "he"]["run"]
    rows = results.layers[(results.layers["step"] == 0) & (results.layers["layer"] <= 4)]
    dz = rows[rows["run"].isin(runs)].pivot(index="run", columns="layer", values="dz_rms").to_numpy()
    drawn = [line.get_ydata() for line in ax.get_lines()]
    assert any(np.allclose(y, 10 ** np.log10(dz).mean(0)) for y in drawn if len(y) == 4)
    theory = vgexp.predict("data=digits", "model.depth=4", "model.width=10", "init.name=he").profile["dz_rms"][:4]
    assert any(np.allclose(y, theory) for y in drawn if len(y) == 4)


def test_log_axis_only_for_what_spans_decades(results):
    assert figures.profiles(results).figure.axes[1].get_yscale() == "log"


def test_svg_is_the_same_each_time(results, tmp_path):
    for name in ("a", "b"):
        style.save(figures.profiles(results).figure, tmp_path, name)
    texts = [(tmp_path / f"{name}.svg").read_text() for name in ("a", "b")]
    assert re.sub(r"id=\S+", "", texts[0]) == re.sub(r"id=\S+", "", texts[1])


def test_legends_lie_within_their_figures(results):
    """A single panel is narrow."""
    alone = results.select(list(results.runs["run"][:1]))
    for name, picture in [*figures.draw_all(results).items(), *figures.draw_all(alone).items()]:
        picture.figure.draw_without_rendering()
        for legend in picture.figure.legends:
            extent = legend.get_window_extent()
            assert 0 <= extent.x0 < extent.x1 <= picture.figure.bbox.width, name


def test_histograms_of_the_runs_that_have_them():
    """Folders that recorded different things are drawn together; the first look need not be at step 0."""
    vgexp.run("data=digits", "model.depth=2", "model.width=10", "steps=4", "name=light")
    full = ("model.depth=3", "model.width=10", "steps=4", "probe=full", "probe.histograms=end", "name=full")
    vgexp.run("data=digits", *full)
    drawn = figures.draw_all(vgexp.read("results/light", "results/full"))
    (ax,) = drawn["histogram_h"].figure.axes
    assert len(ax.get_lines()) == 3
    assert "step 4" in drawn["histogram_h"].caption
