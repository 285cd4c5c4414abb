from dataclasses import replace

import numpy as np
import pytest
from drawn import assert_among, framed, heights

from vgexp.claims.grids import Grid
from vgexp.claims.statements import Missing
from vgexp.figures.style import COLORS, panels
from vgexp.papers.glorot2010 import errors
from vgexp.papers.glorot2010.errors import PAPER_ERRORS
from vgexp.papers.glorot2010.measures import ROWS, TANH


@pytest.fixture
def results(committed):
    return committed("glorot2010")


def of_grid(results, name):
    """Test errors (steps, seeds)."""
    rows = results.steps[results.steps["run"].isin(results.grids[name])].dropna(subset="test_error")
    return rows.pivot(index="step", columns="run", values="test_error")


def test_errors_are_means_with_the_range_over_seeds(results):
    frame = errors.error_frame({"here": TANH, "nowhere": Grid("x")}, results)
    expected = of_grid(results, "tanh")
    assert list(frame["group"].unique()) == ["here"]
    np.testing.assert_array_equal(frame["step"], expected.index)
    np.testing.assert_array_equal(frame["examples"], 10 * expected.index)
    np.testing.assert_allclose(frame["value"], expected.mean(axis=1))
    if expected.shape[1] > 1:
        np.testing.assert_allclose(frame["low"], expected.min(axis=1))
        np.testing.assert_allclose(frame["high"], expected.max(axis=1))
    assert set(frame["seeds"]) == {expected.shape[1]}
    assert errors.error_frame({"nowhere": Grid("x")}, results).empty


def test_lines_are_in_per_cent_over_millions_and_colors_stay_with_their_groups(results):
    frame = errors.error_frame({"Tanh": TANH}, results)
    with panels(1, 1) as (_, axes):
        errors.draw_errors(axes[0, 0], frame, list(ROWS))
    (line,) = axes[0, 0].get_lines()
    np.testing.assert_allclose(line.get_xdata(), frame["examples"] / 1e6)
    np.testing.assert_allclose(line.get_ydata(), 100 * frame["value"])
    assert line.get_color() == COLORS[list(ROWS).index("Tanh")]


def test_figure11_shows_ours_beside_the_papers(results):
    picture = errors.figure11(results)
    numbers = 100 * framed(picture, "value", "low", "high", "paper")
    assert_among(heights(picture.figure), numbers)
    assert_among(numbers, heights(picture.figure))
    read = picture.frame.dropna(subset="paper")
    for (pixels, examples), rows in read.groupby(["data.range", "examples"]):
        drawn = picture.frame[picture.frame["data.range"] == pixels].dropna(subset="value")["group"]
        there = {name: error for name, error in PAPER_ERRORS[examples].items() if name in set(drawn)}
        assert dict(zip(rows["group"], rows["paper"], strict=True)) == there
    assert len(read) == len(PAPER_ERRORS[1_000_000]) + len(errors.OTHER) - 1  # no sigmoid in the other range
    assert set(read["examples"]) == {1_000_000}
    assert picture.frame["data.range"].nunique() == len(picture.figure.axes)


def test_figure11_has_the_papers_curves_as_far_as_ours_go(results):
    """The runs of 100,000 updates, as if each had been five times as long."""
    longer = replace(results, steps=results.steps.assign(step=5 * results.steps["step"]))
    assert set(errors.figure11(longer).frame.dropna(subset="paper")["examples"]) == {1_000_000, 5_000_000}


def test_figure12_needs_its_data(results):
    with pytest.raises(Missing, match="mnist"):
        errors.figure12(results.select([]))
    with pytest.raises(Missing, match="table 1"):
        errors.figure11(results.select([]))


def test_figure12_has_a_panel_a_data_set(results):
    """The runs of Shapeset under the names of the others."""
    others = results.select(list(results.runs["run"]))
    others.grids = {"mnist_tanh": results.grids["tanh"], "cifar10_softsign": results.grids["softsign"]}
    others.left_out = {}
    picture = errors.figure12(others)
    assert picture.frame.groupby("data.name")["group"].unique().map(list).to_dict() == {
        "mnist": ["Tanh"],
        "cifar10": ["Softsign"],
    }
    numbers = 100 * framed(picture, "value", "low", "high")
    assert_among(heights(picture.figure), numbers)
    assert_among(numbers, heights(picture.figure))
