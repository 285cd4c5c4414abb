"""Measures: the grids of Glorot & Bengio (2010), what its claims make of them, and what they say beside a verdict."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import xarray as xr

from vgexp.claims import (
    Criterion,
    Grid,
    Missing,
    compare,
    first_step,
    largest,
    mass,
    over,
    rms,
    since,
    smallest,
)
from vgexp.data import PRIORS
from vgexp.papers.glorot2010 import surfaces
from vgexp.results import Results, geometric_mean

STANDARD, NORMALIZED = (Grid("initial", {"init.name": init}) for init in ("standard", "glorot"))
SIGMOID, SIGMOID_N = (Grid("sigmoid", {"init.name": init}) for init in ("standard", "glorot"))
LINEAR = Grid("linear")
WIDTHS = {
    "shrinking": Grid("widths", {"model.width": [1400, 1200, 1000, 800, 600]}),
    "growing": Grid("widths", {"model.width": [600, 800, 1000, 1200, 1400]}),
}
PLATEAU = Grid("plateau")
ESCAPE = Grid("escape", {"model.depth": 4})
TANH, TANH_N, SOFTSIGN, SOFTSIGN_N, SIGMOID_5, SIGMOID_4 = map(
    Grid, ("tanh", "tanh_n", "softsign", "softsign_n", "sigmoid_depth5", "sigmoid_depth4")
)
OTHER_TANH, OTHER_TANH_N, OTHER_SOFTSIGN = (Grid(f"other_{row}") for row in ("tanh", "tanh_n", "softsign"))
"""Pixels in [-1, 1]."""
FASTER_TANH = Grid("faster_tanh")
"""A learning rate three times as large."""
ROWS = {"Softsign": SOFTSIGN, "Softsign N": SOFTSIGN_N, "Tanh": TANH, "Tanh N": TANH_N, "Sigmoid": SIGMOID_5}
"""The rows of Table 1, on Shapeset."""
SHAPESET = tuple(row.name for row in ROWS.values())
FINITE = {"Softsign": "softsign", "Softsign N": "softsign_n", "Tanh": "tanh", "Tanh N": "tanh_n", "Sigmoid": "sigmoid"}
"""The same rows on a finite data set, whose grids are named <data>_<row>."""
PRIOR = float(-(PRIORS * PRIORS.log()).sum())
"""The cross-entropy of a classifier that knows only the frequencies of Shapeset's classes: 2.110 nats."""
ESCAPED = float(np.log(10)) - 0.15
"""Validation loss below which a network has learned more than the frequencies of ten digits, ln 10."""
SETTLED = 20_000
"""Updates from which on the gradients of training are compared."""
SHORT = 100_000
"""Updates of the small scale: what longer runs are compared with."""
CHANCE = 85.0
"""Test error on ten digits, in per cent, above which a network has learned next to nothing: 90 is chance."""
LAST = 3
"""Evaluations that a final error is the mean of: between neighbours it jitters by a point or two."""
Ratio = partial(Criterion, by=geometric_mean)
"""A part whose quantity is a ratio, or another positive number that varies by factors."""
ByLayer = Callable[[Grid, Results], xr.DataArray]
"""A quantity over seeds and layers."""


def finite(data: str, row: str) -> Grid:
    """A row of Table 1 on digits, mnist or cifar10."""
    return Grid(f"{data}_{FINITE[row]}")


def initial(column: str) -> ByLayer:
    """A column of the layers table at initialisation."""
    return lambda grid, r: grid.layers(r, column).sel(step=0)


def trained(column: str) -> ByLayer:
    """A column of the layers table at the end of training."""
    return lambda grid, r: grid.layers(r, column).isel(step=-1)


h, dz, dw = map(initial, ("h_std", "dz_rms", "dw_rms"))
mean_h, std_h, p98 = map(trained, ("h_mean", "h_std", "h_p98"))


def scaled_variance(grid: Grid, r: Results) -> xr.DataArray:
    """n Var W of the square matrices, layers 2 to 5."""
    return 1000 * rms(initial("w_rms")(grid, r).sel(layer=slice(2, 5))) ** 2


def scaled_bound(grid: Grid, r: Results) -> xr.DataArray:
    """√n max |W| of the square matrices."""
    return np.sqrt(1000) * largest(initial("w_max")(grid, r).sel(layer=slice(2, 5)))


def singular_value(grid: Grid, r: Results) -> xr.DataArray:
    """Mean singular value of dh(l+1) / dh(l) over all layers at initialisation."""
    return grid.spectra(r).sel(step=0).mean(["layer", "rank"])


def fraction(grid: Grid, low: float, high: float, r: Results) -> xr.DataArray:
    """Fraction of the activations of layer 1 with low < |h| <= high after training."""
    return mass(grid.histograms(r, "h").sel(layer=1).isel(step=-1), low, high)


def percent(grid: Grid, r: Results) -> xr.DataArray:
    """Final test error in per cent."""
    return 100 * grid.steps(r, "test_error").isel(step=slice(-LAST, None)).mean("step")


def lowest_top_mean(r: Results) -> xr.DataArray:
    """The smallest mean activation of the top hidden layer in training."""
    return smallest(ESCAPE.layers(r, "h_mean").sel(layer=4), "step")


def step_of_saturation(grid: Grid, r: Results) -> xr.DataArray:
    """Updates until the 98th percentile of each layer's activations is above 0.95; infinite where it never is."""
    return first_step(grid.layers(r, "h_p98") > 0.95)


def p98_at_saturation(r: Results) -> xr.DataArray:
    """98th percentiles of all layers when that of layer 1 is above 0.95 for the first time, NaN where it never is.

    In the end all layers may be there: which came first is not to be seen any more.
    """
    history = TANH.layers(r, "h_p98")
    return history.where(history["step"] == step_of_saturation(TANH, r).sel(layer=1)).max("step")


def growth(grid: Grid, r: Results) -> xr.DataArray:
    """std dW at layer 1 over layer 5 in training: a single batch of ten is noisy."""
    return over(rms(since(grid.layers(r, "dw_rms"), SETTLED), "step"), 1, 5)


def slope_reversal(grid: Grid, r: Results) -> xr.DataArray:
    """std dz at layer 5 over layer 1 in the last fifth of training."""
    history = grid.layers(r, "dz_rms")
    last_fifth = since(history, int(history["step"].max()) * 4 // 5)
    return over(rms(last_fifth, "step"), 5, 1)


def plateau_share(cost: str) -> np.ndarray:
    """Fraction of the weights' square where the gradient is below 1 % of its largest, one value a random example."""
    return np.array([surfaces.plateau(cost, example) for example in surfaces.examples()])


def until(r: Results, step: int) -> Results:
    """What was known of the same runs at a step."""
    known = {name: table[table["step"] <= step] for name, table in r.tables().items() if name != "runs"}
    return replace(r, **known)


def changed(criteria: Sequence[Criterion], r: Results) -> str:
    """What the parts of a claim were after 100,000 updates, where its runs went on."""
    if r.steps["step"].max() <= SHORT:
        return ""
    then, parts = until(r, SHORT), []
    for number, part in enumerate(criteria, start=1):
        try:
            found = part.by(np.asarray(part.measure(then), dtype=float))
        except Missing:
            parts.append(f"part {number} not measured")
            continue
        shown = f"{found:{',.0f' if abs(found.point) >= 1000 else '.3g'}}".replace("inf", "∞")
        parts.append(f"part {number} {shown}, {compare(found, part.low, part.high)}")
    return f"after {SHORT:,} updates " + "; ".join(parts)


def others(r: Results) -> xr.DataArray:
    """Final test errors on MNIST of the rows that are not sigmoid, in per cent, over row and the seeds of all."""
    errors = [percent(finite("mnist", name), r) for name in FINITE if name != "Sigmoid"]
    return xr.concat(errors, "row", join="inner")


def falls(grid: Grid, r: Results) -> bool:
    """Does the test error still fall in every seed, from the three evaluations before the last three to these?"""
    error = grid.steps(r, "test_error")
    if error.sizes["step"] < 2 * LAST:
        return False
    before, last = (error.isel(step=part).mean("step") for part in (slice(-2 * LAST, -LAST), slice(-LAST, None)))
    return bool((before > last).all())


def still_falling(_: Sequence[Criterion], r: Results) -> str:
    """How far MNIST was trained, which of its rows are at chance or not flat yet, and the paper's caution."""
    names = [name for name in FINITE if falls(finite("mnist", name), r)]
    chance = [name for name in FINITE if float(percent(finite("mnist", name), r).mean()) > CHANCE]
    updates = int(finite("mnist", "Sigmoid").runs(r, "steps")[0])
    curves = f", with the curves of {', '.join(names)} still falling" if names else ""
    blind = f"; {', '.join(chance)} at chance" if chance else ""
    return (
        f"this is after {updates:,} updates{curves}{blind}; after the paper's 2,500,000 only sigmoid differs "
        "significantly (p = 0.005)"
    )
