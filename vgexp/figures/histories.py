"""Histories: what the layers of a network go through in training, drawn as papers draw it.

The axis of training counts epochs below and updates above; hollow marks are values read off a paper.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr
from matplotlib.axes import Axes

from vgexp.claims import Grid, Missing
from vgexp.figures.pictures import count
from vgexp.figures.style import COLORS, MARKERS, layer_color
from vgexp.results import Results, label

EPOCH = 20_000
"""Updates: Glorot & Bengio (2010), labels of figures 2, 3, 9, 10."""
MARKS = 16
"""Observations that get a mark or a bar, of however many there are."""
SMOOTHED = 5
"""Observations averaged where a single batch is noisy."""
Readings = Mapping[float, Sequence[float | None]]
"""Epoch -> values of layers 1.. read off a paper's plot; None where it cannot be read."""


def means(
    ax: Axes,
    grid: Grid,
    results: Results,
    seed: int | None = None,
    read: Readings | None = None,
    shades: int | None = None,
) -> str:
    """Mean activation by layer, with bars of one standard deviation over units; says how many seeds.

    `shades`: the depth whose colors the layers get, where panels of different depths share a legend.
    """
    mean, std = grid.layers(results, "h_mean"), grid.layers(results, "h_std")
    seeds, layers = mean.sizes["seed"], mean.sizes["layer"]
    chosen = slice(seed, seed)
    every = max(1, mean.sizes["step"] // MARKS)
    for layer in range(1, layers + 1):
        color = layer_color(layer, shades or layers)
        line, bars = (x.sel(seed=chosen, layer=layer).mean("seed") for x in (mean, std))
        ax.plot(line["step"] / EPOCH, line, color=color, label=f"layer {layer}")
        sparse = slice((layer - 1) * every // layers, None, every)  # bars of different layers side by side
        x = line["step"][sparse] / EPOCH
        ax.errorbar(x, line[sparse], bars[sparse], fmt="none", ecolor=color, elinewidth=0.6)
    ax.set_ylabel(label("h"))
    ax.set_ylim(0, 1)
    _readings(ax, read or {}, mean)
    return count(seeds)


def percentiles(ax: Axes, grid: Grid, results: Results, read: Readings | None = None) -> str:
    """98th and 2nd percentile of the activations by layer as marks, plus and minus one standard deviation as lines."""
    std = grid.layers(results, "h_std")
    sparse = slice(None, None, max(1, std.sizes["step"] // MARKS))
    layers = std.sizes["layer"]
    for sign, column in ((1, "h_p98"), (-1, "h_p02")):
        percentile = grid.layers(results, column)
        for layer in range(1, layers + 1):
            color = layer_color(layer, layers)
            line = sign * std.sel(layer=layer).mean("seed")
            ax.plot(line["step"] / EPOCH, line, color=color, linewidth=0.9)
            text = f"layer {layer}" if sign > 0 else "_"
            marks = percentile.sel(layer=layer).mean("seed")[sparse]
            ax.plot(marks["step"] / EPOCH, marks, MARKERS[layer - 1], color=color, ms=2.5, label=text)
    ax.set_ylabel(label("h"))
    _readings(ax, read or {}, std)
    return count(std.sizes["seed"])


def deviations(ax: Axes, grid: Grid, results: Results, read: Readings | None = None) -> str:
    """Plus and minus the standard deviation of a batch's weight gradients by layer, as a running mean.

    Their scale depends on how a batch is averaged: what is read off a paper is scaled so that the top layers agree at
    the start.
    """
    dw = grid.layers(results, "dw_rms")
    layers = dw.sizes["layer"]
    square = (dw**2).mean("seed")
    lines = square.rolling(step=SMOOTHED, min_periods=1, center=True).mean() ** 0.5
    for layer in range(1, layers + 1):
        for sign in (1, -1):
            text = f"layer {layer}" if sign > 0 else "_"
            line = sign * lines.sel(layer=layer)
            ax.plot(line["step"] / EPOCH, line, color=layer_color(layer, layers), label=text)
    ax.set_ylabel("dW (± std)")
    start = (read or {}).get(0, ())
    if len(start) == layers and start[-1]:
        factor = float(lines.sel(step=0, layer=layers)) / start[-1]
        scaled = {at: [value and factor * value for value in row] for at, row in (read or {}).items()}
        _readings(ax, scaled, dw)
    return count(dw.sizes["seed"])


def errors(ax: Axes, rows: Mapping[str, Grid], results: Results, batch: int = 10) -> list[str]:
    """Test error in per cent over millions of examples seen, mean and range over seeds; says which rows there are."""
    found = []
    for number, (name, grid) in enumerate(rows.items()):
        try:
            error = 100 * grid.steps(results, "test_error", gaps=True)
        except Missing:
            continue
        examples = error["step"] * batch / 1e6
        ax.plot(examples, error.mean("seed", skipna=False), color=COLORS[number], label=name)
        if error.sizes["seed"] > 1:
            low, high = error.min("seed", skipna=False), error.max("seed", skipna=False)
            ax.fill_between(examples, low, high, color=COLORS[number], alpha=0.15, linewidth=0)
        found.append(name)
    ax.set_xlabel("examples seen (million)")
    ax.set_ylabel("test error (%)")
    return found


def epochs(below: Axes, above: Axes) -> None:
    """Labels the axis of training: epochs below the last panel, thousands of updates above the first."""
    below.set_xlabel(f"epochs of {EPOCH:,} updates")
    top = above.secondary_xaxis("top", functions=(_thousands, _epochs))
    top.set_xlabel("updates (thousand)")


def _thousands(epoch: Any) -> Any:
    return epoch * EPOCH / 1000


def _epochs(thousands: Any) -> Any:
    return thousands * 1000 / EPOCH


def _readings(ax: Axes, read: Readings, ours: xr.DataArray) -> None:
    """Values of a paper as hollow marks, as far as our training goes."""
    for epoch, values in read.items():
        for index, value in enumerate(values):
            if value is not None and epoch * EPOCH <= ours["step"][-1]:
                color = layer_color(index + 1, ours.sizes["layer"])
                ax.plot([epoch], [value], MARKERS[index], color=color, mfc="none", ms=6, zorder=5)
