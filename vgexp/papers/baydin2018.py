"""Baydin et al. (2018): a gradient costs a small multiple of the function, by reverse mode, whatever the number of "
"inputs."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from vgexp import differentiation as diff
from vgexp.analysis import estimate
from vgexp.claims import Claim, Measure, Missing, Part
from vgexp.config import Run, fans
from vgexp.measures import Selection, added, ratio
from vgexp.report import draw
from vgexp.store import Results
from vgexp.style import COLORS, MARKERS, Picture, Table, legend, panels

CITATION = "Baydin, Pearlmutter, Radul & Siskind (2018), Automatic Differentiation in Machine Learning: a Survey"
INTRO = (
    "Training steps of tanh networks on digits, products counted exactly; and one small function of 8 inputs (5 "
    "layers of 32 tanh units, float64), differentiated in four ways over 5 seeds."
)
SEEDS, INPUTS, WIDTH, DEPTH = 5, 8, 32, 4
DEPTHS = (1, 2, 4, 16, 64)
MANY_INPUTS = (1, 2, 4, 8, 16, 32, 64)
STEPS = 10.0 ** np.arange(-14, 0)


def gradient_over_forward(depth: int) -> Measure:
    """FLOPs of {f, grad f} over those of f."""
    flops = Selection("flops", {"model.depth": depth})
    both = added(flops.total("forward_flops"), flops.total("backward_flops"))
    return ratio(both, flops.total("forward_flops"))


def first_share(depth: int) -> float:
    """Share of the first layer, which sends nothing down, in the forward pass: the ratio is 3 less this."""
    run = Run()
    run.model.depth, run.model.width = depth, 64
    products = [fan_in * fan_out for fan_in, fan_out in fans(run, 64, 10)]
    return products[0] / sum(products)


def problem(seed: int, inputs: int = INPUTS) -> tuple[list, Callable, diff.Tensor]:
    weights = diff.matrices(seed, inputs, WIDTH, DEPTH)
    return weights, diff.network(weights), diff.point(seed, inputs)


def relative(found: diff.Tensor, true: diff.Tensor) -> float:
    return float((found - true).norm() / true.norm())


def symbolic_error(_: Results) -> np.ndarray:
    """Reverse mode against the explicit product of Jacobians."""
    cases = [problem(seed) for seed in range(SEEDS)]
    return np.array([relative(diff.reverse(f, x), diff.symbolic(weights, x)) for weights, f, x in cases])


def numeric_errors(central: bool) -> np.ndarray:
    """Differences against the explicit product, (S seeds, H steps)."""
    cases = [problem(seed) for seed in range(SEEDS)]
    return np.array(
        [[relative(diff.numeric(f, x, h, central), diff.symbolic(w, x)) for h in STEPS] for w, f, x in cases]
    )


def order(central: bool) -> Measure:
    """Slope of ln error over ln step where truncation rules, steps 1e-4 to 1e-2."""

    def measured(_: Results) -> np.ndarray:
        errors_SH = numeric_errors(central)
        low, high = np.searchsorted(STEPS, 0.9e-4), np.searchsorted(STEPS, 0.9e-2)
        return np.log10(errors_SH[:, high] / errors_SH[:, low]) / 2

    return measured


def best(central: bool) -> Measure:
    return lambda _: numeric_errors(central).min(1)


def mode_cost(mode: str, inputs: int, seed: int = 0) -> float:
    """FLOPs of the gradient over those of the function."""
    _, f, x = problem(seed, inputs)
    compute = diff.reverse if mode == "reverse" else diff.forward
    return diff.flops(lambda: compute(f, x)) / diff.flops(lambda: f(x))


def growth(mode: str) -> Measure:
    """FLOPs of the gradient over those of the function, 64 inputs over 1."""
    return lambda _: np.array([mode_cost(mode, 64, s) / mode_cost(mode, 1, s) for s in range(2)])


def times(where: Mapping[str, int]) -> Measure:
    """Time of forward and backward pass over that of the forward pass."""
    rows = Selection("time", where)
    return ratio(
        added(rows.milliseconds("forward_ms"), rows.milliseconds("backward_ms")), rows.milliseconds("forward_ms")
    )


LARGE = {"model.width": 256, "data.batch_size": 256}

# fmt: off
CLAIMS = (
    Claim("BA-01", "Function and gradient take three times the products of the function, less the first layer's share.",
          "section 3.2", grids=("flops",), parts=tuple(
        Part(f"FLOPs over forward, depth {depth}", 3 - first_share(depth) - 1e-9, 3 - first_share(depth) + 1e-9,
             gradient_over_forward(depth), 3 - first_share(depth)) for depth in DEPTHS
    )),
    Claim("BA-02", "In time, less than six times, typically two to three (256 units, batches of 256).", "section 3.2",
          grids=("time",), scale="small", parts=tuple(Part(f"time over forward, depth {depth}", 1.5, 6,
                           times({**LARGE, "model.depth": depth}), 3.0) for depth in (4, 16, 64))),
    Claim("BA-03", "Automatic differentiation is exact: the product of the Jacobians, to rounding.", "section 2", (
        Part("relative difference from the explicit product", 0, 1e-13, symbolic_error, 0),
    )),
    Claim("BA-04", "Differences are not: truncation grows with the step, rounding falls with it.", "section 2.1", (
        Part("order of the forward difference", 0.95, 1.05, order(central=False), 1),
        Part("order of the central difference", 1.9, 2.1, order(central=True), 2),
        Part("best error of the forward difference", 1e-10, 1e-6, best(central=False)),
        Part("best error of the central difference", 1e-12, 1e-8, best(central=True)),
    )),
    Claim("BA-05", "Forward mode costs a sweep an input, reverse mode one in all.", "sections 3.1, 3.2", (
        Part("cost of forward mode, 64 inputs over 1", 60, 68, growth("forward"), 64),
        Part("cost of reverse mode, 64 inputs over 1", 0.9, 1.1, growth("reverse"), 1),
    )),
)
# fmt: on


def figures(results: Results) -> Mapping[str, Picture | str]:
    """What a gradient costs by depth and by number of inputs, and how differences err."""
    return draw({"products": products, "differences": differences, "modes": modes, "times": time}, results)


def tables(results: Results) -> Mapping[str, Table]:
    """The ledger of one network, layer by layer."""
    try:
        return {"ledger": ledger(results)}
    except Missing:
        return {}


def ledger(results: Results) -> Table:
    """Products, bytes and times of each layer of a network of four hidden layers."""
    timed = "time" in results.grids
    where = {"model.depth": 4, **(LARGE if timed else {})}
    runs = Selection("time" if timed else "flops", where).runs(results)
    rows = results.layers[results.layers["run"].isin(runs["run"])]
    made = []
    for layer, one in rows.groupby("layer"):
        line = {"layer": str(layer)}
        for column in ("forward_flops", "backward_flops", "saved_bytes"):
            line[column.replace("_", " ")] = f"{one[column].iloc[0]:,.0f}"
        if timed:
            for column in ("forward_ms", "backward_ms"):
                medians = one[one["step"] > 0].groupby("run")[column].median()
                line[column.replace("_", " ")] = f"{estimate(medians.to_numpy()):.3f}"
        made.append(line)
    seeds = f", times as medians over 30 steps, mean and 95 % interval of {len(runs)} runs" if timed else ""
    return Table(
        pd.DataFrame(made),
        "The ledger of one training step, four hidden layers on digits (the last row is the readout): products counted "
        f"exactly, the weights' update among those backward, bytes kept for the backward pass{seeds}.",
    )


def products(results: Results) -> Picture:
    """FLOPs of function and gradient over those of the function, by depth."""
    with panels(1, 1, size=(4, 2.8)) as (figure, axes):
        ax = axes[0, 0]
        ax.plot(
            DEPTHS, [float(np.mean(gradient_over_forward(depth)(results))) for depth in DEPTHS], "o", label="counted"
        )
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
                where = {"model.width": width, "data.batch_size": batch}
                found = [estimate(np.asarray(times({**where, "model.depth": d})(results))) for d in (4, 16, 64)]
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
