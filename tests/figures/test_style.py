import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from vgexp.figures.style import (
    COLORS,
    LETTERS,
    MARKERS,
    PANEL,
    label_panel,
    layer_axis,
    layer_color,
    legend,
    log_if_decades,
    log_spaced,
    panels,
    step_axis,
    tiles,
    wrapped,
)


@pytest.fixture
def ax():
    with panels(1, 1) as (_, axes):
        return axes[0, 0]


def luminance(color):
    return float(np.dot([0.2126, 0.7152, 0.0722], to_rgb(color)))


def test_colors_and_marks_differ_and_pair_up():
    assert len(set(COLORS)) == len(COLORS) == len(set(MARKERS)) == len(MARKERS)
    rgb = np.array([to_rgb(color) for color in COLORS])
    apart = np.linalg.norm(rgb[:, None] - rgb[None], axis=-1) + np.eye(len(COLORS))
    assert apart.min() > 0.25
    assert all(luminance(color) < 0.75 for color in COLORS)  # seen on white


def test_lines_without_a_color_take_those_of_the_house(ax):
    assert [ax.plot([0, 1])[0].get_color() for _ in COLORS] == list(COLORS)
    assert not ax.spines["top"].get_visible() and not ax.spines["right"].get_visible()


def test_the_style_ends_with_the_figure():
    before = dict(mpl.rcParams)
    with panels(1, 1), tiles(2):
        pass
    assert dict(mpl.rcParams) == before


def test_panels_have_their_size():
    with panels(2, 3) as (figure, axes):
        assert axes.shape == (2, 3)
        assert tuple(figure.get_size_inches()) == pytest.approx((3 * PANEL[0], 2 * PANEL[1]))
    with panels(1, 1, size=(4, 5)) as (figure, _):
        assert tuple(figure.get_size_inches()) == (4, 5)


@pytest.mark.parametrize(
    ("count", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (5, (2, 3)), (7, (2, 4)), (13, (3, 6)), (24, (4, 6))]
)
def test_tiles_stand_three_to_six_in_a_row(count, grid):
    with tiles(count) as (figure, axes):
        assert len(axes) == count
        assert len(figure.axes) == grid[0] * grid[1]
        assert [ax.axison for ax in figure.axes] == [True] * count + [False] * (grid[0] * grid[1] - count)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 2.9], "linear"),
        ([1, 3.1], "log"),
        ([0, 1, 2], "linear"),
        ([-5, 1, 4], "linear"),
        ([0, 1, 4], "log"),
        ([np.nan, 1, np.inf], "linear"),
    ],
)
def test_log_axis_where_positive_values_span_more_than_a_factor_3(ax, values, scale):
    ax.plot(values)
    log_if_decades(ax)
    assert ax.get_yscale() == scale


def test_an_empty_panel_stays_linear(ax):
    log_if_decades(ax)
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("steps", "log"),
    [
        ([0], False),
        ([0, 1, 2], False),
        ([0, 50, 100], False),
        ([0, 1, 100], False),
        ([0, 1, 3, 10, 101], True),
        (range(201), False),
        (range(0, 5001, 10), False),
    ],
)
def test_step_axis_is_logarithmic_for_log_spaced_steps(ax, steps, log):
    assert log_spaced(np.array(steps)) == log
    shift = step_axis(ax, np.array(steps))
    assert (shift, ax.get_xscale(), ax.get_xlabel()) == ((1, "log", "step + 1") if log else (0, "linear", "step"))


def test_layer_axis_marks_whole_numbers(ax):
    ax.plot([1, 2, 3], [1, 2, 3])
    layer_axis(ax)
    assert ax.get_xlabel() == "layer"
    assert all(tick == int(tick) for tick in ax.get_xticks())


@pytest.mark.parametrize("depth", [1, 2, 5, 50])
def test_layers_go_from_dark_to_light(depth):
    shades = [luminance(layer_color(layer, depth)[:3]) for layer in range(1, depth + 1)]
    assert shades == sorted(shades)
    assert len(set(shades)) == depth


def test_tiles_name_their_axis_below_the_last_of_each_column():
    with tiles(5) as (figure, axes):
        for ax in axes:
            ax.set_xlabel("step")
    assert [ax.get_xlabel() for ax in axes] == ["", "", "step", "step", "step"]
    assert not figure.get_supxlabel()
    with tiles(4, there=9) as (figure, _):
        pass
    assert figure.get_supxlabel() == "the first 4 of 9 groups"


def test_texts_break_at_commas_first():
    assert wrapped("abc, sigma_w 1.5, lr 0.25", 17 / LETTERS) == "abc, sigma_w 1.5,\nlr 0.25"
    assert wrapped("abcdefgh" * 2, 8 / LETTERS) == "abcdefgh\nabcdefgh"


@pytest.mark.parametrize("entries", [3, 60])
def test_a_figure_grows_by_a_long_legend(entries):
    with panels(1, 2) as (figure, axes):
        for number in range(entries):
            axes[0, 0].plot([0, 1], label=f"a network with a rather long name {number}")
        legend(figure, axes[0, 0])
        figure.draw_without_rendering()
    assert (figure.get_figheight() > PANEL[1]) == (entries == 60)
    assert axes[0, 0].get_window_extent().height / figure.dpi > 0.5 * PANEL[1]


def test_panels_are_labelled_above(ax):
    label_panel(ax, "here", above=0.1)
    (text,) = ax.texts
    assert text.get_text() == "here" and text.xy == (0, 1.1)


@pytest.mark.parametrize(("name", "columns"), [("a", 3), ("a network with a rather long name", 1)])
def test_legend_lies_within_the_figure_and_covers_no_data(name, columns):
    with panels(1, 1) as (figure, axes):
        for number in range(3):
            axes[0, 0].plot([0, 1], label=f"{name} {number}")
        legend(figure, axes[0, 0])
    figure.draw_without_rendering()
    (drawn,) = figure.legends
    extent = drawn.get_window_extent()
    assert drawn._ncols == columns
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width and extent.y1 <= figure.bbox.height
    assert extent.y0 >= axes[0, 0].get_window_extent().y1
