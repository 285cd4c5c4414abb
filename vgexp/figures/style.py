"""The house style of figures: colors, marks, axes, panels, legends.

Okabe & Ito's colors (safe for the color-blind), marks that differ too, no titles (captions stand below a figure), log
axes for whatever spans decades.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")
MARKERS = "osD^vP*X"
STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.prop_cycle": cycler(color=COLORS),
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "vgexp",
    "figure.constrained_layout.use": True,
}
PANEL = (2.6, 2.4)
"""Inches: three panels side by side fill a page's width."""
LEGEND = 0.45
"""Inches of a legend for which panels leave room."""
WIDTH = 0.95
"""How much of a figure's width a legend may fill."""
LETTERS = 17
"""Letters of a legend or a panel's label that an inch holds."""


@contextmanager
def panels(
    rows: int, columns: int, size: tuple[float, float] | None = None, **options: Any
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure in the house style with rows x columns axes; `size` in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size or (PANEL[0] * columns, PANEL[1] * rows))
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)


@contextmanager
def rows_of_panels(
    rows: int, columns: int, width: float = PANEL[0], **options: Any
) -> Iterator[tuple[Figure, np.ndarray]]:
    """Rows of panels, lower where there are several, that share their y axis in each column; inches wide: `width`."""
    height = PANEL[1] * (1.0 if rows == 1 else 0.75)
    with panels(rows, columns, (width * columns, height * rows), **({"sharey": "col"} | options)) as found:
        yield found


@contextmanager
def tiles(count: int, there: int = 0, **options: Any) -> Iterator[tuple[Figure, list[Axes]]]:
    """`count` panels that share their axes, three to six a row, the more the smaller.

    `there`: how many there are to be shown; the figure says so where they are more.
    """
    columns = min(count, 3 if count <= 6 else 4 if count <= 12 else 6)
    rows, share = -(-count // columns), min(1.0, 3.2 / columns)
    size = (PANEL[0] * columns * share, (PANEL[1] * share + 0.4 * (share < 1)) * rows)
    with panels(rows, columns, size, **({"sharex": True, "sharey": True} | options)) as (figure, axes):
        for ax in axes.flat[count:]:
            ax.set_axis_off()
        if there > count:
            figure.supxlabel(f"the first {count} of {there} groups", x=0.99, ha="right", size=7.5)
        shown = list(axes.flat[:count])
        yield figure, shown
        for ax in shown:
            ax.tick_params(labelsize=8 if share > 0.7 else 6)
        for ax in shown[-columns:]:
            ax.tick_params(labelbottom=True)
        for ax in shown[:-columns]:
            ax.set_xlabel("")


def layer_axis(ax: Axes) -> None:
    """Labels the axis of layers and marks whole numbers only."""
    ax.set_xlabel("layer")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def log_if_decades(*axes: Axes) -> None:
    """A log axis where the values in these panels span more than a factor 3, and none is below 0."""
    lines = [np.asarray(line.get_ydata(), dtype=float) for ax in axes for line in ax.get_lines()]
    values = np.concatenate(lines or [np.ones(1)])
    values = values[np.isfinite(values)]
    above = values[values > 0]
    if len(above) and not (values < 0).any() and above.max() > 3 * above.min():
        for ax in axes:
            ax.set_yscale("log")


def log_spaced(steps: np.ndarray) -> bool:
    """Whether steps that were observed lie much closer together at the start of training."""
    gaps = np.diff(steps)
    return len(gaps) > 1 and gaps[0] < 0.1 * gaps.max() and steps[1] < 0.01 * steps[-1]


def step_axis(ax: Axes, steps: np.ndarray) -> int:
    """Makes an axis of steps, in order: linear, or a log axis of step + 1 where they are log-spaced.

    Returns what to add to a step for its place on the axis, 0 or 1.
    """
    if not log_spaced(steps):
        ax.set_xlabel("step")
        return 0
    ax.set_xscale("log")
    ax.set_xlabel("step + 1")
    return 1


def layer_color(layer: int, depth: int) -> Any:
    """Dark at the bottom of the network, light at its top."""
    return mpl.colormaps["viridis"](0.05 + 0.85 * (layer - 1) / max(1, depth - 1))


def label_panel(ax: Axes, text: str, above: float = 0.02) -> None:
    """Says above a panel what it shows, in as many lines as its width asks for."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    ax.annotate(wrapped(text, inches), (0, 1 + above), xycoords="axes fraction", fontsize=7.5)


def wrapped(text: str, inches: float) -> str:
    """A text in lines of at most this width, about."""
    width = max(8, int(LETTERS * inches))
    parts = text.split(", ")  # breaks at commas first, at other spaces where a part is longer than a line
    kept = ", ".join(part if len(part) > width else part.replace(" ", "\N{NO-BREAK SPACE}") for part in parts)
    return textwrap.fill(kept, width, break_on_hyphens=False).replace("\N{NO-BREAK SPACE}", " ")


def legend(figure: Figure, ax: Axes | None, columns: int = 3, entries: Sequence[tuple[str, Artist]] = ()) -> None:
    """One legend above all panels, where it covers no data, in as many columns as fit.

    Of what is drawn in `ax`, or of `entries`: texts and what stands beside them. The figure grows by a legend of more
    than a line or two, so that panels keep their size.
    """
    if ax is not None:
        handles, labels = ax.get_legend_handles_labels()
        entries = list(zip(labels, handles, strict=True))
    if not entries:
        return
    texts = [wrapped(text, 0.85 * figure.get_figwidth()) for text, _ in entries]
    for ncols in range(min(columns, len(entries)), 0, -1):
        drawn = figure.legend([handle for _, handle in entries], texts, loc="outside upper left", ncols=ncols)
        extent = drawn.get_window_extent()
        if ncols == 1 or extent.width <= WIDTH * figure.bbox.width:
            more = extent.height / figure.dpi - LEGEND
            figure.set_figheight(figure.get_figheight() + max(0.0, more))
            return
        drawn.remove()
