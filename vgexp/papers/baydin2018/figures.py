"""The figures of Baydin et al. (2018), and the ledger of a training step."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from vgexp.claims import Grid, since
from vgexp.figures import COLORS, MARKERS, Picture, Table, legend, panels
from vgexp.papers.baydin2018.claims import (
    DEPTHS,
    LARGE,
    MANY_INPUTS,
    STEPS,
    first_share,
    gradient_over_forward,
    mode_cost,
    numeric_errors,
    symbolic_error,
    time_over_forward,
)
from vgexp.results import Results, estimate


def ledger(results: Results) -> Table:
    """Products, bytes and times of each layer of a network of four hidden layers."""
    timed = "time" in results.grids
    grid = Grid("time", {"model.depth": 4, **LARGE}) if timed else Grid("flops", {"model.depth": 4})
    layers = grid.layers(results, "flops", readout=True)["layer"].to_numpy()
    columns = {"layer": [str(layer) for layer in layers]}
    for name in ("forward_flops", "backward_flops", "saved_bytes"):
        counted = grid.layers(results, name, readout=True).isel(seed=0, step=0)
        columns[name.replace("_", " ")] = [f"{one:,.0f}" for one in counted.to_numpy()]
    seeds = ""
    if timed:
        for name in ("forward_ms", "backward_ms"):
            medians = since(grid.layers(results, name, readout=True), 1).median("step")
            columns[name.replace("_", " ")] = [
                f"{estimate(one.to_numpy()):.3f}" for one in medians.transpose("layer", ...)
            ]
            seeds = f", times as medians over 30 steps, mean and 95 % interval of {medians.sizes['seed']} runs"
    return Table(
        pd.DataFrame(columns),
        "The ledger of one training step, four hidden layers on digits (the last row is the readout): products counted "
        f"exactly, the weights' update among those backward, bytes kept for the backward pass{seeds}.",
    )


def products(results: Results) -> Picture:
    """FLOPs of function and gradient over those of the function, by depth."""
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        ax.plot(DEPTHS, [float(gradient_over_forward(depth, results).mean()) for depth in DEPTHS], "o", label="counted")
        ax.plot(
            DEPTHS, [3 - first_share(depth) for depth in DEPTHS], linewidth=0.8, label="3 less the first layer's share"
        )
        ax.set(xscale="log", xlabel="hidden layers", ylabel="FLOPs of f and gradient / FLOPs of f", ylim=(2, 3.05))
        legend(figure, ax)
    return Picture(
        figure, "One product forward, two backward, but for the first layer: counted exactly (2 runs, equal)."
    )


def differences(results: Results) -> Picture:
    """Error of differences against their step."""
    with panels(1, 1, size=(4, 3)) as (figure, axes):
        ax = axes[0, 0]
        for number, (central, label) in enumerate(((False, "forward difference"), (True, "central difference"))):
            errors_SH = numeric_errors(central)
            ax.plot(STEPS, np.exp(np.log(errors_SH).mean(0)), MARKERS[number] + "-", color=COLORS[number], label=label)
        exact = estimate(symbolic_error(results)).point
        ax.axhline(exact, color="0.4", linestyle="--", linewidth=0.8, label="reverse mode")
        ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error of the gradient")
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        "Numeric differentiation between truncation (right) and rounding (left), geometric mean of 5 seeds in "
        "float64; reverse mode is exact to rounding.",
    )


def modes(results: Results) -> Picture:
    """Cost of a gradient against the number of inputs."""
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        for number, mode in enumerate(("forward", "reverse")):
            cost = [mode_cost(mode, inputs) for inputs in MANY_INPUTS]
            ax.plot(MANY_INPUTS, cost, MARKERS[number] + "-", color=COLORS[number], label=f"{mode} mode")
        ax.set(xscale="log", yscale="log", xlabel="inputs", ylabel="FLOPs of the gradient / of f")
        legend(figure, ax)
    return Picture(figure, "A gradient by forward mode takes a sweep an input, by reverse mode one (counted, 1 seed).")


def time(results: Results) -> Picture:
    """Time of function and gradient over that of the function, by depth, width and batch."""
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        number = 0
        for width in (64, 256):
            for batch in (32, 256):
                sets = [{"model.width": width, "data.batch_size": batch, "model.depth": depth} for depth in (4, 16, 64)]
                found = [estimate(time_over_forward(one, results).to_numpy()) for one in sets]
                y = [one.point for one in found]
                reach = [[one.point - one.low for one in found], [one.high - one.point for one in found]]
                label = f"{width} units, batch {batch}"
                ax.errorbar((4, 16, 64), y, reach, fmt=MARKERS[number] + "-", color=COLORS[number], label=label)
                number += 1
        ax.set(xscale="log", xlabel="hidden layers", ylabel="time of f and gradient / time of f", ylim=(1, 6))
        legend(figure, ax, columns=2)
    return Picture(
        figure, "Time of a step over that of its forward pass: medians over 30 steps, mean and 95 % interval of 5 runs."
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {
    "products": products,
    "differences": differences,
    "modes": modes,
    "times": time,
}
TABLES: dict[str, Callable[[Results], Table]] = {"ledger": ledger}
