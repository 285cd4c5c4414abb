"""The house style of figures: colours, axes, panels, files.

Okabe & Ito's colours (safe for the colour-blind), marks that differ too, no titles (captions live in the report), log
axes for whatever spans decades.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
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
AXES = {
    "z_rms": "preactivation z (rms)",
    "h_std": "activation h (std)",
    "dz_rms": "gradient dz (rms)",
    "dw_rms": "weight gradient dW (rms)",
    "w_rms": "weights W (rms)",
    "update_ratio": "rms(ΔW) / rms(W)",
    "saturation": "fraction saturated",
    "h": "activation h",
    "dz": "gradient dz",
    "dw": "weight gradient dW",
}


class Picture(NamedTuple):
    """A figure and what it shows."""

    figure: Figure
    caption: str

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

    def _repr_html_(self) -> str:
        """In a notebook too."""
        return self.rows.to_html(index=False)


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


def save(figure: Figure, folder: Path, name: str) -> str:
    """Writes <name>.svg and <name>.png; returns the SVG's text."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=160)
    (folder / f"{name}.svg").write_text(stream.getvalue())
    return stream.getvalue()


def layer_axis(ax: Axes) -> None:
    ax.set_xlabel("layer")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def log_if_decades(ax: Axes) -> None:
    """A log axis where the positive values span more than a factor 3."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()] or [np.ones(1)])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > 3 * values.min():
        ax.set_yscale("log")


def step_axis(ax: Axes, steps: np.ndarray) -> np.ndarray:
    """Labels the axis and returns positions: linear for evenly spaced steps, else step + 1 on a log axis."""
    if len(steps) < 2 or steps[1] >= 0.01 * steps[-1]:
        ax.set_xlabel("step")
        return steps
    ax.set_xscale("log")
    ax.set_xlabel("step + 1")
    return steps + 1


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
