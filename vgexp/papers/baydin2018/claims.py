"""The claims of Baydin et al. (2018): what a gradient costs beside the function, and how exact it is."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from vgexp.claims import Claim, Criterion, Grid
from vgexp.config import Run
from vgexp.networks import blueprints
from vgexp.papers.baydin2018 import differentiation as diff
from vgexp.papers.budget import flops, milliseconds, step_milliseconds
from vgexp.results import Results, exact, geometric_mean

SEEDS, INPUTS, WIDTH, DEPTH = 5, 8, 32, 4
DEPTHS = (1, 2, 4, 16, 64)
MANY_INPUTS = (1, 2, 4, 8, 16, 32, 64)
STEPS = 10.0 ** np.arange(-14, 0)


def gradient_over_forward(depth: int, r: Results) -> xr.DataArray:
    """FLOPs of {f, grad f} over those of f."""
    grid = Grid("flops", {"model.depth": depth})
    return flops(grid, r) / grid.runs(r, "forward_flops")


def first_share(depth: int) -> float:
    """Share of the forward pass that the first layer takes, whose input needs no gradient: the ratio is 3 less this."""
    run = Run()
    run.model.depth, run.model.width = depth, 64
    products = [part.fan_in * part.fan_out for part in blueprints(run, 64, 10)]
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


def order(central: bool) -> np.ndarray:
    """Slope of ln error over ln step where truncation is all of the error, steps 1e-4 to 1e-2."""
    errors_SH = numeric_errors(central)
    low, high = np.searchsorted(STEPS, 0.9e-4), np.searchsorted(STEPS, 0.9e-2)
    return np.log10(errors_SH[:, high] / errors_SH[:, low]) / 2


def mode_cost(mode: str, inputs: int, seed: int = 0) -> float:
    """FLOPs of the gradient over those of the function."""
    _, f, x = problem(seed, inputs)
    compute = diff.reverse if mode == "reverse" else diff.forward
    return diff.flops(lambda: compute(f, x)) / diff.flops(lambda: f(x))


def growth(mode: str) -> np.ndarray:
    """FLOPs of the gradient over those of the function, 64 inputs over 1."""
    return np.array([mode_cost(mode, 64, seed) / mode_cost(mode, 1, seed) for seed in range(2)])


def time_over_forward(where: Mapping[str, int], r: Results) -> xr.DataArray:
    """Time of forward and backward pass over that of the forward pass."""
    grid = Grid("time", where)
    return step_milliseconds(grid, r) / milliseconds(grid, r, "forward_ms")


LARGE = {"model.width": 256, "data.batch_size": 256}
SMALLER = [{"model.width": width, "data.batch_size": size} for width, size in ((64, 32), (64, 256), (256, 32))]
TIMED_DEPTHS = (4, 16, 64)


def other_sizes(_: Sequence[Criterion], r: Results) -> str:
    """What the time is over that of the forward pass at the other sizes that were timed."""
    said = []
    for size in SMALLER:
        ratios = [time_over_forward({**size, "model.depth": depth}, r) for depth in TIMED_DEPTHS]
        points = sorted(geometric_mean(np.asarray(ratio)).point for ratio in ratios)
        said.append(f"{points[0]:.3g} to {points[-1]:.3g} with {size['model.width']} and {size['data.batch_size']}")
    return f"of other widths and batches, not judged: {', '.join(said)}"


# fmt: off
CLAIMS = (
    Claim("BA-01", "Function and gradient take three times the products of the function, less the first layer's share.",
          "section 3.2", grids=("flops",), criteria=tuple(
        Criterion(f"FLOPs over forward, depth {depth}", 3 - first_share(depth) - 1e-9, 3 - first_share(depth) + 1e-9,
                  lambda r, depth=depth: gradient_over_forward(depth, r),
                  reference=3 - first_share(depth), by=exact) for depth in DEPTHS
    )),
    Claim("BA-02", "In time, less than six times, typically two to three (256 units, batches of 256).", "section 3.2",
          grids=("time",), scale="small", criteria=tuple(
        Criterion(f"time over forward, {word}, depth {depth}", low, high,
                  lambda r, depth=depth: time_over_forward({**LARGE, "model.depth": depth}, r), by=geometric_mean)
        for word, low, high in (("less than six", 0, 6), ("two to three", 2, 3)) for depth in TIMED_DEPTHS
    ), remark=other_sizes),
    Claim("BA-03", "Automatic differentiation is exact: the product of the Jacobians, to rounding.", "section 2", (
        Criterion("relative difference from the explicit product", 0, 1e-13, symbolic_error, 0),
    )),
    Claim("BA-04", "Differences are not: truncation grows with the step, rounding falls with it.", "section 2.1", (
        Criterion("order of the forward difference", 0.95, 1.05, lambda _: order(central=False), 1),
        Criterion("order of the central difference", 1.9, 2.1, lambda _: order(central=True), 2),
        Criterion("best error of the forward difference", 1e-10, 1e-6, lambda _: numeric_errors(central=False).min(1),
                  by=geometric_mean),
        Criterion("best error of the central difference", 1e-12, 1e-8, lambda _: numeric_errors(central=True).min(1),
                  by=geometric_mean),
    )),
    Claim("BA-05", "Forward mode costs a sweep an input, reverse mode one in all.", "sections 3.1, 3.2", (
        Criterion("cost of forward mode, 64 inputs over 1", 60, 68, lambda _: growth("forward"), 64, by=exact),
        Criterion("cost of reverse mode, 64 inputs over 1", 0.9, 1.1, lambda _: growth("reverse"), 1, by=exact),
    )),
)
# fmt: on
