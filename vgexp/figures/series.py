"""Series: one quantity over one axis, a color and a mark a group; measurements as marks, theory as thin lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vgexp.figures.looks import Arrangement, Look, numbered
from vgexp.figures.style import label_panel, legend

TICKS = 9
"""Values that a bar of colors names at most."""


def draw_series(ax: Axes, frame: pd.DataFrame, x: str, fmt: str | None = None, **options: Any) -> None:
    """Every `group` of a frame over its column `x`, in the order in which they come; as `draw_group` draws one."""
    for number, (name, rows) in enumerate(frame.groupby("group", sort=False)):
        draw_group(ax, rows, x, numbered(number), str(name), fmt, **options)


def draw_group(
    ax: Axes, rows: pd.DataFrame, x: str, look: Look, label: str, fmt: str | None = None, **options: Any
) -> None:
    """One group in its color and mark: `value`, bars from `low` to `high`, and `theory`.

    Columns that the frame lacks are not drawn. `fmt`: matplotlib's format; by default marks alone where there is theory
    to compare them with, else marks joined by lines. `options` are matplotlib's, for the marks.
    """
    color = look.color
    options = {"fillstyle": look.fill} | options
    if fmt is None:
        fmt = look.marker + ("" if "theory" in rows else "-")
    if "low" in rows:
        reach = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]], dtype=float)
        bars = np.where(np.isfinite(reach), reach, 0.0)  # an interval without an end has no bar
        ax.errorbar(rows[x], rows["value"], bars, fmt=fmt, color=color, label=label, elinewidth=0.8, **options)
    else:
        ax.plot(rows[x], rows["value"], fmt, color=color, label=label, **options)
    if "theory" in rows and rows["theory"].notna().any():
        line = rows.dropna(subset=["theory"]).sort_values(x)
        ax.plot(line[x], line["theory"], color=color, linewidth=0.9)


def draw_band(ax: Axes, rows: pd.DataFrame, x: str, look: Look, label: str) -> None:
    """One group as a line in its color and dash, `value`, in a band from `low` to `high`."""
    color = look.color
    ax.plot(rows[x], rows["value"], color=color, linestyle=look.dash, label=label)
    if rows["low"].notna().any():
        ax.fill_between(rows[x], rows["low"], rows["high"], color=color, alpha=0.15, linewidth=0)


def draw_key(figure: Figure, axes: Sequence[Axes], arranged: Arrangement, columns: int = 3) -> None:
    """What the looks of an arrangement stand for: a legend, a bar of colors, and the names of the rows of panels.

    `axes`: the first panel of each row.
    """
    entries = [
        (text, Line2D([], [], color=look.color, marker=look.marker, linestyle=look.dash, fillstyle=look.fill))
        for text, look in arranged.entries
    ]
    legend(figure, None, columns if len(entries) <= 3 * columns else 2 * columns, entries)
    for ax, name in zip(axes, arranged.facets, strict=True):
        if name:
            label_panel(ax, name)
    if arranged.scale is not None:
        title, words, colors = arranged.scale
        edges = np.arange(len(words) + 1) - 0.5
        mappable = ScalarMappable(BoundaryNorm(edges, len(words)), ListedColormap(colors))
        bar = figure.colorbar(mappable, ax=figure.axes, label=title, aspect=40, pad=0.02)
        at = np.unique(np.linspace(0, len(words) - 1, TICKS).round().astype(int))
        bar.set_ticks(list(at), labels=[words[i].removeprefix(f"{title} ") for i in at])
        bar.minorticks_off()
