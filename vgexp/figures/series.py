"""Series: one quantity over one axis, a color and a mark a group; measurements as marks, theory as thin lines."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vgexp.figures.style import COLORS, MARKERS


def draw_series(ax: Axes, frame: pd.DataFrame, x: str, fmt: str | None = None, **options: Any) -> None:
    """Every `group` of a frame over its column `x`, in the order in which they come; as `draw_group` draws one."""
    for number, (name, rows) in enumerate(frame.groupby("group", sort=False)):
        draw_group(ax, rows, x, number, str(name), fmt, **options)


def draw_group(
    ax: Axes, rows: pd.DataFrame, x: str, number: int, label: str, fmt: str | None = None, **options: Any
) -> None:
    """One group in the color and mark of its number: `value`, bars from `low` to `high`, and `theory`.

    Columns that the frame lacks are not drawn. `fmt`: matplotlib's format; by default marks alone where there is theory
    to compare them with, else marks joined by lines. `options` are matplotlib's, for the marks.
    """
    color = COLORS[number % len(COLORS)]
    if fmt is None:
        fmt = MARKERS[number % len(MARKERS)] + ("" if "theory" in rows else "-")
    if "low" in rows:
        reach = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]], dtype=float)
        bars = np.where(np.isfinite(reach), reach, 0.0)  # an interval without an end has no bar
        ax.errorbar(rows[x], rows["value"], bars, fmt=fmt, color=color, label=label, elinewidth=0.8, **options)
    else:
        ax.plot(rows[x], rows["value"], fmt, color=color, label=label, **options)
    if "theory" in rows and rows["theory"].notna().any():
        line = rows.dropna(subset=["theory"]).sort_values(x)
        ax.plot(line[x], line["theory"], color=color, linewidth=0.9)


def draw_band(ax: Axes, rows: pd.DataFrame, x: str, number: int, label: str) -> None:
    """One group as a line in the color of its number, `value`, in a band from `low` to `high`."""
    color = COLORS[number % len(COLORS)]
    ax.plot(rows[x], rows["value"], color=color, label=label)
    if rows["low"].notna().any():
        ax.fill_between(rows[x], rows["low"], rows["high"], color=color, alpha=0.15, linewidth=0)
