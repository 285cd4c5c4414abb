"""Histories: what the layers of a network go through in training, as the paper draws it.

The axis of training counts epochs of Shapeset below and updates above; hollow marks are values read off the paper's
plots.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from vgexp.claims import Grid, Missing
from vgexp.figures import MARKERS, layer_color
from vgexp.results import Results, label

EPOCH = 20_000
"""Updates: labels of figures 2, 3, 9, 10."""
MARKS = 16
"""Observations that get a mark or a bar, of however many there are."""
SMOOTHED = 5
"""Observations averaged where a single batch is noisy."""
Readings = Mapping[float, Sequence[float | None]]
"""Epoch -> values of layers 1.. read off the paper's plot; None where it cannot be read."""


def mean_frame(group: str, grid: Grid, results: Results, read: Readings, seed: int | None = None) -> pd.DataFrame:
    """`group depth step layer quantity value low high seeds paper`: mean activations, low and high one standard
    deviation over units away; means over seeds, or one seed."""
    mean, std = (grid.layers(results, column) for column in ("h_mean", "h_std"))
    if seed is not None:
        if seed not in mean["seed"]:
            raise Missing(f"seed {seed} is not there yet")
        mean, std = (x.sel(seed=[seed]) for x in (mean, std))
    middle, reach = mean.mean("seed"), std.mean("seed")
    found = _long(group, "h_mean", mean, value=middle, low=middle - reach, high=middle + reach)
    return _beside(found, read)


def percentile_frame(group: str, grid: Grid, results: Results, read: Readings) -> pd.DataFrame:
    """`group depth step layer quantity value seeds paper`: 98th and 2nd percentile and standard deviation of the
    activations, means over seeds; the paper's are 98th percentiles."""
    parts = []
    for column in ("h_p98", "h_p02", "h_std"):
        found = grid.layers(results, column)
        parts.append(_long(group, column, found, value=found.mean("seed")))
    return pd.concat([_beside(parts[0], read), *parts[1:]], ignore_index=True)


def deviation_frame(group: str, grid: Grid, results: Results, read: Readings) -> pd.DataFrame:
    """`group depth step layer quantity value seeds paper`: the standard deviation of a batch's weight gradients, root
    mean square over seeds and a few neighbouring observations.

    Its scale depends on how a batch is averaged. The paper's are scaled so that the top layers agree at the start.
    """
    dw = grid.layers(results, "dw_rms")
    value = (dw**2).mean("seed").rolling(step=SMOOTHED, min_periods=1, center=True).mean() ** 0.5
    layers, start = dw.sizes["layer"], read.get(0, ())
    scaled: Readings = {}
    if len(start) == layers and start[-1]:
        factor = float(value.sel(step=0, layer=layers)) / start[-1]
        scaled = {epoch: [one and factor * one for one in row] for epoch, row in read.items()}
    return _beside(_long(group, "dw_rms", dw, value=value), scaled)


def draw_means(ax: Axes, rows: pd.DataFrame, shades: int | None = None) -> None:
    """Lines by layer with bars here and there.

    `shades`: the depth whose colors the layers get, where panels of different depths share a legend.
    """
    for layer, line, color in _layers(rows, shades):
        ax.plot(line["step"] / EPOCH, line["value"], color=color, label=f"layer {layer}")
        every = _every(line)
        depth = int(line["depth"].iloc[0])
        some = line.iloc[(layer - 1) * every // depth :: every]  # bars of different layers side by side
        bars = [some["value"] - some["low"], some["high"] - some["value"]]
        ax.errorbar(some["step"] / EPOCH, some["value"], bars, fmt="none", ecolor=color, elinewidth=0.6)
    ax.set_ylabel(label("h"))
    ax.set_ylim(0, 1)
    _draw_readings(ax, rows)


def draw_percentiles(ax: Axes, rows: pd.DataFrame) -> None:
    """98th and 2nd percentile by layer as marks, plus and minus one standard deviation as lines."""
    for sign, column in ((1, "h_p98"), (-1, "h_p02")):
        for layer, line, color in _layers(rows[rows["quantity"] == "h_std"]):
            ax.plot(line["step"] / EPOCH, sign * line["value"], color=color, linewidth=0.9)
            text = f"layer {layer}" if sign > 0 else "_"
            marks = rows[(rows["quantity"] == column) & (rows["layer"] == layer)].dropna(subset="value")
            marks = marks.iloc[:: _every(marks)]
            ax.plot(marks["step"] / EPOCH, marks["value"], MARKERS[layer - 1], color=color, ms=2.5, label=text)
    ax.set_ylabel(label("h"))
    _draw_readings(ax, rows)


def draw_deviations(ax: Axes, rows: pd.DataFrame) -> None:
    """Plus and minus the deviation by layer, as lines."""
    for layer, line, color in _layers(rows):
        for sign in (1, -1):
            text = f"layer {layer}" if sign > 0 else "_"
            ax.plot(line["step"] / EPOCH, sign * line["value"], color=color, label=text)
    ax.set_ylabel("dW (± std)")
    _draw_readings(ax, rows)


def label_epochs(below: Axes, above: Axes) -> None:
    """Labels the axis of training: epochs below the last panel, thousands of updates above the first."""
    below.set_xlabel(f"epochs of {EPOCH:,} updates")
    top = above.secondary_xaxis("top", functions=(_thousands, _epochs))
    top.set_xlabel("updates (thousand)")


def label_updates(ax: Axes) -> None:
    """Labels the axis of training with thousands of updates alone, where an epoch would be none of the data's."""
    ax.xaxis.set_major_formatter(lambda epoch, _: f"{_thousands(epoch):g}")
    ax.set_xlabel("updates (thousand)")


def _thousands(epoch: Any) -> Any:
    return epoch * EPOCH / 1000


def _epochs(thousands: Any) -> Any:
    return thousands * 1000 / EPOCH


def _long(group: str, quantity: str, source: xr.DataArray, **columns: xr.DataArray) -> pd.DataFrame:
    """Arrays over step and layer as a table; `source` knows the seeds and the depth."""
    found = xr.Dataset(columns).to_dataframe().reset_index()
    return found.assign(group=group, quantity=quantity, seeds=source.sizes["seed"], depth=source.sizes["layer"])


def _beside(frame: pd.DataFrame, read: Readings) -> pd.DataFrame:
    """With the paper's values in rows of their own, as far as our training goes."""
    first = frame.iloc[0]
    rows = [
        {"step": int(epoch * EPOCH), "layer": layer, "paper": value, **first[["group", "quantity", "depth"]]}
        for epoch, values in read.items()
        for layer, value in enumerate(values, start=1)
        if value is not None and epoch * EPOCH <= frame["step"].max()
    ]
    return pd.concat([frame.assign(paper=np.nan), pd.DataFrame(rows)], ignore_index=True)


def _layers(rows: pd.DataFrame, shades: int | None = None) -> list[tuple[int, pd.DataFrame, Any]]:
    """Our values of each layer, in the order of steps, and its color."""
    ours = rows.dropna(subset="value").sort_values("step")
    found = [(int(line["layer"].iloc[0]), line) for _, line in ours.groupby("layer")]
    return [(layer, line, layer_color(layer, shades or int(line["depth"].iloc[0]))) for layer, line in found]


def _every(line: pd.DataFrame) -> int:
    return max(1, len(line) // MARKS)


def _draw_readings(ax: Axes, rows: pd.DataFrame) -> None:
    """The paper's values as hollow marks."""
    for _, row in rows.dropna(subset="paper").iterrows():
        layer = int(row["layer"])
        color = layer_color(layer, int(row["depth"]))
        ax.plot([row["step"] / EPOCH], [row["paper"]], MARKERS[layer - 1], color=color, mfc="none", ms=6, zorder=5)
