import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from vgexp.figures.looks import numbered
from vgexp.figures.series import draw_band, draw_group, draw_series
from vgexp.figures.style import COLORS, MARKERS, panels

FRAME = pd.DataFrame(
    {
        "group": ["a", "a", "a", "b", "b"],
        "x": [1, 2, 3, 1, 2],
        "value": [1.0, np.nan, 3.0, 4.0, 5.0],
        "low": [0.5, np.nan, np.nan, 3.5, 4.5],
        "high": [2.0, np.nan, np.nan, 4.5, 5.5],
        "theory": [1.1, 2.1, 3.1, np.nan, np.nan],
    }
)


@pytest.fixture
def ax():
    with panels(1, 1) as (_, axes):
        return axes[0, 0]


def test_groups_have_their_colors_marks_and_names(ax):
    draw_series(ax, FRAME[["group", "x", "value"]], "x")
    a, b = ax.get_lines()
    assert [to_hex(line.get_color()).upper() for line in (a, b)] == list(COLORS[:2])
    assert [line.get_marker() for line in (a, b)] == list(MARKERS[:2])
    assert [line.get_linestyle() for line in (a, b)] == ["-", "-"]
    assert ax.get_legend_handles_labels()[1] == ["a", "b"]
    np.testing.assert_array_equal(a.get_ydata(), [1, np.nan, 3])


def test_bars_reach_from_low_to_high_where_there_is_an_interval(ax):
    draw_series(ax, FRAME, "x")
    ends = [segment[:, 1].tolist() for one in ax.collections for segment in one.get_segments() if len(segment)]
    assert [end for end in ends if end[0] != end[1] and np.isfinite(end).all()] == [[0.5, 2.0], [3.5, 4.5], [4.5, 5.5]]


def test_theory_is_a_line_beside_marks_alone(ax):
    draw_group(ax, FRAME[FRAME["group"] == "a"].iloc[::-1], "x", numbered(0), "a")
    marks, line = ax.get_lines()
    assert marks.get_linestyle() == "None" and line.get_marker() == "None"
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(line.get_ydata(), [1.1, 2.1, 3.1])


def test_bands_lie_between_low_and_high(ax):
    draw_band(ax, FRAME[FRAME["group"] == "b"], "x", numbered(2), "b")
    (band,) = ax.collections
    assert set(band.get_paths()[0].vertices[:, 1]) == {3.5, 4.5, 5.5}
    (line,) = ax.get_lines()
    assert line.get_color() == COLORS[2] and line.get_label() == "b"
    np.testing.assert_array_equal(line.get_ydata(), [4, 5])
