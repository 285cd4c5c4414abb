"""The figures of Baydin et al. (2018), and the ledger of a training step."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from vgexp.claims import Grid, since
from vgexp.figures import Picture, Table, draw_series, legend, panels, seeds_in
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
from vgexp.results import Results, estimate, geometric_mean

REVERSE = "reverse mode"


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
                f"{geometric_mean(one.to_numpy()):.3f}" for one in medians.transpose("layer", ...)
            ]
            seeds = (
                f", times as medians over 30 steps, geometric mean and 95 % interval of {medians.sizes['seed']} runs"
            )
    return Table(
        pd.DataFrame(columns),
        "The ledger of one training step, four hidden layers on digits; the last row is the readout. Products are "
        f"counted exactly, and the weights' update is among those backward; bytes are those kept for the backward "
        f"pass{seeds}.",
    )


def product_frame(results: Results) -> pd.DataFrame:
    """`depth value theory seeds`: FLOPs of function and gradient over those of the function, counted and expected."""
    rows = []
    for depth in DEPTHS:
        found = gradient_over_forward(depth, results)
        rows.append((depth, float(found.mean()), 3 - first_share(depth), found.sizes["seed"]))
    return pd.DataFrame(rows, columns=["depth", "value", "theory", "seeds"])


def products(results: Results) -> Picture:
    """FLOPs of function and gradient over those of the function, by depth."""
    frame = product_frame(results)
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        ax.plot(frame["depth"], frame["value"], "o", label="counted")
        ax.plot(frame["depth"], frame["theory"], linewidth=0.8, label="3 minus the first layer's share")
        ax.set(xscale="log", xlabel="hidden layers", ylabel="FLOPs of f and gradient / FLOPs of f", ylim=(2, 3.05))
        legend(figure, ax)
    return Picture(
        figure,
        "A layer takes one product forward and two backward, the first layer one: its input needs no "
        f"gradient. Counted exactly ({seeds_in(frame)}).",
        frame,
    )


def difference_frame(results: Results) -> pd.DataFrame:
    """`group h value seeds`: relative error of the gradient by differences of step h, geometric mean over seeds; that
    of reverse mode has no `h`."""
    parts = []
    for central, text in ((False, "forward difference"), (True, "central difference")):
        errors_SH = numeric_errors(central)
        columns = {"h": STEPS, "value": np.exp(np.log(errors_SH).mean(0))}
        parts.append(pd.DataFrame(columns).assign(group=text, seeds=len(errors_SH)))
    exact = estimate(symbolic_error(results))
    parts.append(pd.DataFrame([{"group": REVERSE, "value": exact.point, "seeds": exact.seeds}]))
    return pd.concat(parts, ignore_index=True)


def differences(results: Results) -> Picture:
    """Error of differences against their step."""
    frame = difference_frame(results)
    reverse = frame["group"] == REVERSE
    with panels(1, 1, size=(4, 3)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame[~reverse], "h")
        exact = frame.loc[reverse, "value"].item()
        ax.axhline(exact, color="0.4", linestyle="--", linewidth=0.8, label=REVERSE)
        ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error of the gradient")
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        "Numeric differentiation: truncation errors on the right, rounding errors on the left. Geometric mean of "
        f"{seeds_in(frame)} in float64. Reverse mode is exact up to rounding.",
        frame,
    )


def mode_frame() -> pd.DataFrame:
    """`group inputs value`: FLOPs of the gradient over those of the function, counted."""
    rows = [(f"{mode} mode", n, mode_cost(mode, n)) for mode in ("forward", "reverse") for n in MANY_INPUTS]
    return pd.DataFrame(rows, columns=["group", "inputs", "value"])


def modes(results: Results) -> Picture:
    """Cost of a gradient against the number of inputs."""
    frame = mode_frame()
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame, "inputs")
        ax.set(xscale="log", yscale="log", xlabel="inputs", ylabel="FLOPs of the gradient / of f")
        legend(figure, ax)
    return Picture(
        figure,
        "By forward mode a gradient takes one sweep for each input, by reverse mode one for all (counted, 1 seed).",
        frame,
    )


def time_frame(results: Results) -> pd.DataFrame:
    """`group width batch_size depth value low high seeds`: time of function and gradient over that of the function."""
    rows = []
    for width, batch, depth in product((64, 256), (32, 256), (4, 16, 64)):
        where = {"model.width": width, "data.batch_size": batch, "model.depth": depth}
        found = geometric_mean(time_over_forward(where, results).to_numpy())
        rows.append((f"{width} units, batch {batch}", width, batch, depth, *found))
    return pd.DataFrame(rows, columns=["group", "width", "batch_size", "depth", "value", "low", "high", "seeds"])


def time(results: Results) -> Picture:
    """Time of function and gradient over that of the function, by depth, width and batch."""
    frame = time_frame(results)
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame, "depth")
        ax.set(xscale="log", xlabel="hidden layers", ylabel="time of f and gradient / time of f", ylim=(1, 6))
        ax.set_xticks((4, 16, 64), ("4", "16", "64"))
        ax.minorticks_off()
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        "Time of a step over that of its forward pass: medians over 30 steps, geometric mean and 95 % interval of "
        f"{seeds_in(frame)}.",
        frame,
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {
    "products": products,
    "differences": differences,
    "modes": modes,
    "times": time,
}
TABLES: dict[str, Callable[[Results], Table]] = {"ledger": ledger}
