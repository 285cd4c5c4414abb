"""The claims of baydin2018."""

from collections.abc import Callable, Mapping

import numpy as np

from vgexp.claims import Claim, Measure, Part, Selection, added, ratio
from vgexp.config import Run, fans
from vgexp.papers.baydin2018 import differentiation as diff
from vgexp.results import Results

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
