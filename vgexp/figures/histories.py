"""Histories: what the layers of a network go through in training, drawn as papers draw it.

The axis of training counts epochs below and updates above; hollow marks are values read off a paper.

Legend: S seeds, T observations, L hidden layers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from vgexp.claims import Missing, Selection
from vgexp.figures.style import AXES, COLORS, MARKERS, layer_color
from vgexp.results import Results

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
    selection: Selection,
    results: Results,
    seed: int | None = None,
    read: Readings | None = None,
    shades: int | None = None,
) -> str:
    """Mean activation by layer, with bars of one standard deviation over units; says how many seeds.

    `shades`: the depth whose colors the layers get, where panels of different depths share a legend.
    """
    steps_T, mean_STL = selection.track("h_mean", results)
    std_STL = selection.track("h_std", results).values_STL
    chosen = slice(None) if seed is None else slice(seed, seed + 1)
    every = max(1, len(steps_T) // MARKS)
    layers = mean_STL.shape[2]
    for index in range(layers):
        color = layer_color(index + 1, shades or layers)
        mean_T, std_T = mean_STL[chosen, :, index].mean(0), std_STL[chosen, :, index].mean(0)
        ax.plot(steps_T / EPOCH, mean_T, color=color, label=f"layer {index + 1}")
        sparse = slice(index * every // layers, None, every)  # bars of different layers side by side
        ax.errorbar(steps_T[sparse] / EPOCH, mean_T[sparse], std_T[sparse], fmt="none", ecolor=color, elinewidth=0.6)
    ax.set_ylabel(AXES["h"])
    ax.set_ylim(0, 1)
    _readings(ax, read or {}, layers, steps_T)
    return count(len(mean_STL))


def percentiles(ax: Axes, selection: Selection, results: Results, read: Readings | None = None) -> str:
    """98th and 2nd percentile of the activations by layer as marks, plus and minus one standard deviation as lines."""
    steps_T, std_STL = selection.track("h_std", results)
    sparse = slice(None, None, max(1, len(steps_T) // MARKS))
    layers = std_STL.shape[2]
    for sign, column in ((1, "h_p98"), (-1, "h_p02")):
        marks_STL = selection.track(column, results).values_STL
        for index in range(layers):
            color = layer_color(index + 1, layers)
            ax.plot(steps_T / EPOCH, sign * std_STL[:, :, index].mean(0), color=color, linewidth=0.9)
            label = f"layer {index + 1}" if sign > 0 else "_"
            marks_T = marks_STL[:, sparse, index].mean(0)
            ax.plot(steps_T[sparse] / EPOCH, marks_T, MARKERS[index], color=color, ms=2.5, label=label)
    ax.set_ylabel(AXES["h"])
    _readings(ax, read or {}, layers, steps_T)
    return count(len(std_STL))


def deviations(ax: Axes, selection: Selection, results: Results, read: Readings | None = None) -> str:
    """Plus and minus the standard deviation of a batch's weight gradients by layer, as a running mean.

    Their scale depends on how a batch is averaged: what is read off a paper is scaled so that the top layers agree at
    the start.
    """
    steps_T, values_STL = selection.track("dw_rms", results)
    layers = values_STL.shape[2]
    square_TL = pd.DataFrame((values_STL**2).mean(0)).rolling(SMOOTHED, min_periods=1, center=True).mean()
    for index in range(layers):
        for sign in (1, -1):
            label = f"layer {index + 1}" if sign > 0 else "_"
            ax.plot(steps_T / EPOCH, sign * square_TL[index] ** 0.5, color=layer_color(index + 1, layers), label=label)
    ax.set_ylabel("dW (± std)")
    start = (read or {}).get(0, ())
    if len(start) == layers and start[-1]:
        factor = float(square_TL[layers - 1].iloc[0] ** 0.5) / start[-1]
        scaled = {at: [value and factor * value for value in row] for at, row in (read or {}).items()}
        _readings(ax, scaled, layers, steps_T)
    return count(len(values_STL))


def errors(ax: Axes, rows: Mapping[str, Selection], results: Results, batch: int = 10) -> list[str]:
    """Test error in per cent over millions of examples seen, mean and range over seeds; says which rows there are."""
    found = []
    for number, (name, selection) in enumerate(rows.items()):
        try:
            steps_T, error_ST = selection.curve("test_error", results)
        except Missing:
            continue
        x_T = steps_T * batch / 1e6
        ax.plot(x_T, 100 * error_ST.mean(0), color=COLORS[number], label=name)
        if len(error_ST) > 1:
            low_T, high_T = 100 * error_ST.min(0), 100 * error_ST.max(0)
            ax.fill_between(x_T, low_T, high_T, color=COLORS[number], alpha=0.15, linewidth=0)
        found.append(name)
    ax.set_xlabel("examples seen (million)")
    ax.set_ylabel("test error (%)")
    return found


def epochs(below: Axes, above: Axes) -> None:
    """Labels the axis of training: epochs below the last panel, thousands of updates above the first."""
    below.set_xlabel(f"epochs of {EPOCH:,} updates")
    top = above.secondary_xaxis("top", functions=(_thousands, _epochs))
    top.set_xlabel("updates (thousand)")


def count(seeds: int) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{seeds} seed{'s' * (seeds != 1)}"


def _thousands(epoch: Any) -> Any:
    return epoch * EPOCH / 1000


def _epochs(thousands: Any) -> Any:
    return thousands * 1000 / EPOCH


def _readings(ax: Axes, read: Readings, layers: int, steps_T: np.ndarray) -> None:
    """Values of a paper as hollow marks, as far as our training goes."""
    for epoch, values in read.items():
        for index, value in enumerate(values):
            if value is not None and epoch * EPOCH <= steps_T[-1]:
                color = layer_color(index + 1, layers)
                ax.plot([epoch], [value], MARKERS[index], color=color, mfc="none", ms=6, zorder=5)
