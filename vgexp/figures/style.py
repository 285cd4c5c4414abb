"""The house style of figures: colors, marks, axes, panels, legends.

Okabe & Ito's colors (safe for the color-blind), marks that differ too, no titles (captions stand below a figure), log
axes for whatever spans decades.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
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


@contextmanager
def panels(
    rows: int, columns: int, size: tuple[float, float] | None = None, **options: Any
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure in the house style with rows x columns axes; `size` in inches."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size or (PANEL[0] * columns, PANEL[1] * rows))
        yield figure, figure.subplots(rows, columns, squeeze=False, **options)


@contextmanager
def tiles(count: int, columns: int = 3) -> Iterator[tuple[Figure, list[Axes]]]:
    """`count` panels that share their y axis, three a row."""
    columns = min(count, columns)
    with panels(-(-count // columns), columns, sharey=True) as (figure, axes):
        for ax in axes.flat[count:]:
            ax.set_axis_off()
        yield figure, list(axes.flat[:count])


def layer_axis(ax: Axes) -> None:
    """Labels the axis of layers and marks whole numbers only."""
    ax.set_xlabel("layer")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def log_if_decades(ax: Axes) -> None:
    """A log axis where the positive values span more than a factor 3."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > 3 * values.min():
        ax.set_yscale("log")


def log_spaced(steps: np.ndarray) -> bool:
    """Whether steps that were observed lie closer together at the start of training."""
    return len(steps) > 1 and steps[1] < 0.01 * steps[-1]


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
    """Says above a panel what it shows."""
    ax.annotate(text, (0, 1 + above), xycoords="axes fraction", fontsize=7.5)


def legend(figure: Figure, ax: Axes, columns: int = 3) -> None:
    """One legend above all panels, where it covers no data, in as many columns as fit."""
    handles, labels = ax.get_legend_handles_labels()
    for ncols in range(min(columns, len(handles)), 0, -1):
        drawn = figure.legend(handles, labels, loc="outside upper left", ncols=ncols)
        if ncols == 1 or drawn.get_window_extent().width <= figure.bbox.width:
            return
        drawn.remove()
