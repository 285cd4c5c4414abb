"""Glorot & Bengio (2010): why standard initialisation starves the lower layers, and what the normalized one
mends.

The numbers of the paper are its text's, or read off its plots. Ratios and profiles are claimed, absolute
gradient scales are not: the paper does not state whether it averages over the batch.
"""

from collections.abc import Callable, Mapping

import numpy as np

from vgexp import figures as draw
from vgexp.analysis import profile, slopes
from vgexp.claims import Claim, Missing, Part
from vgexp.store import Results
from vgexp.style import AXES, Picture

TITLE = "Understanding the difficulty of training deep feedforward neural networks"
CITATION = f"Glorot & Bengio (2010), {TITLE}"
INTRO = (
    "Five hidden layers of 1000 units on Shapeset-3x2, biases 0. Pixels lie in [-1, 1] at initialisation (the "
    "paper does not say which range it used) and in [0, 1] in the short training. Normalized initialisation "
    "(eq. 16) is applied to every matrix; in the published plots both end matrices seem to be standard."
)
DEPTH = 5
Profile = Callable[[Results], np.ndarray]


def of(column: str, grid: str, init: str, layers: int = DEPTH) -> Profile:
    """A quantity of one grid and initialiser at step 0: an array (S seeds, L layers), seeds in order."""

    def measured(results: Results) -> np.ndarray:
        runs = results.grid(grid).runs
        runs = runs[(runs["init.name"] == init) & (runs["status"] == "done")].sort_values("seed")
        if runs.empty:
            raise Missing(f"no finished runs of {init} in the grid {grid}")
        values = profile(results.layers, list(runs["run"]), column)[:, :layers]
        return values

    return measured


def per_seed(measured: Profile, function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Results], np.ndarray]:
    """One number a seed from a profile (S, L)."""
    return lambda results: function(measured(results))


def spread(x_SL: np.ndarray) -> np.ndarray:
    """Largest over smallest layer."""
    return x_SL.max(1) / x_SL.min(1)


def top_over_bottom(x_SL: np.ndarray) -> np.ndarray:
    return x_SL[:, -1] / x_SL[:, 0]


def bottom_over_top(x_SL: np.ndarray) -> np.ndarray:
    return x_SL[:, 0] / x_SL[:, -1]


def step_up(i: int) -> Callable[[np.ndarray], np.ndarray]:
    """Layer i + 1 over layer i."""
    return lambda x_SL: x_SL[:, i] / x_SL[:, i - 1]


def smallest_step(x_SL: np.ndarray) -> np.ndarray:
    """The smallest ratio of a layer to the one below: above 1 in a profile that rises everywhere."""
    return (x_SL[:, 1:] / x_SL[:, :-1]).min(1)


def mean_factor(x_SL: np.ndarray) -> np.ndarray:
    """Geometric mean of the ratio between neighbouring layers."""
    return top_over_bottom(x_SL) ** (1 / (x_SL.shape[1] - 1))


def log_slope(x_SL: np.ndarray) -> np.ndarray:
    """Least-squares slope of ln x over the layer index."""
    return slopes(np.log(x_SL))


def scaled_variance(x_SL: np.ndarray) -> np.ndarray:
    """n Var W of the square matrices, layers 2..5."""
    return 1000 * (x_SL[:, 1:] ** 2).mean(1)


def scaled_bound(x_SL: np.ndarray) -> np.ndarray:
    """sqrt(n) max |W| of the square matrices."""
    return np.sqrt(1000) * x_SL[:, 1:].max(1)


def spread_against_standard(results: Results) -> np.ndarray:
    """Layer spread of the activations, normalized over standard, paired by seed."""
    h = {init: of("h_std", "initial", init)(results) for init in ("standard", "glorot")}
    return spread(h["glorot"]) / spread(h["standard"])


def middle_gradient(results: Results) -> np.ndarray:
    """rms dW at the middle layer, normalized over standard, paired by seed."""
    dw = {init: of("dw_rms", "initial", init)(results) for init in ("standard", "glorot")}
    return dw["glorot"][:, DEPTH // 2] / dw["standard"][:, DEPTH // 2]


def mean_singular_value(init: str) -> Callable[[Results], np.ndarray]:
    """Mean singular value of dh^{l+1}/dh^l over layers 2..5, one a seed."""

    def measured(results: Results) -> np.ndarray:
        runs = results.grid("initial").runs
        runs = runs[(runs["init.name"] == init) & (runs["status"] == "done")]
        spectra = results.spectra[results.spectra["run"].isin(runs["run"])]
        if spectra.empty:
            raise Missing(f"no spectra of {init} in the grid initial")
        means = [float(np.mean(values)) for values in spectra["singular_values"]]
        return spectra.assign(mean=means).groupby("run")["mean"].mean().to_numpy()

    return measured


H = {init: of("h_std", "initial", init) for init in ("standard", "glorot")}
DZ = {init: of("dz_rms", "initial", init) for init in ("standard", "glorot")}
DW = {init: of("dw_rms", "initial", init) for init in ("standard", "glorot")}
SIGMOID = {init: of("dz_rms", "sigmoid", init) for init in ("standard", "glorot")}

CLAIMS = (
    Claim(
        name="GB-01",
        statement="Standard initialisation has n Var W = 1/3, normalized 1, each within its exact bound.",
        source="eqs. 1, 12, 15, 16",
        grids=("initial",),
        parts=(
            Part(
                "n Var W, standard",
                0.98 / 3,
                1.02 / 3,
                per_seed(of("w_rms", "initial", "standard"), scaled_variance),
                1 / 3,
            ),
            Part(
                "n Var W, normalized",
                0.98,
                1.02,
                per_seed(of("w_rms", "initial", "glorot"), scaled_variance),
                1.0,
            ),
            Part(
                "√n max |W|, standard",
                0.999,
                1.0,
                per_seed(of("w_max", "initial", "standard"), scaled_bound),
                1.0,
            ),
            Part(
                "√n max |W|, normalized",
                0.999 * np.sqrt(3),
                np.sqrt(3) * (1 + 1e-6),
                per_seed(of("w_max", "initial", "glorot"), scaled_bound),
                float(np.sqrt(3)),
            ),
        ),
    ),
    Claim(
        name="GB-02",
        statement="Under standard initialisation activations shrink from layer to layer.",
        source="figure 6, top",
        grids=("initial",),
        parts=(
            *(
                Part(f"std h, layer {i + 1} over {i}", 0.52, 0.60, per_seed(H["standard"], step_up(i)), 0.56)
                for i in range(1, DEPTH)
            ),
            Part("std h, layer 1 over 5", 7.5, 12, per_seed(H["standard"], bottom_over_top), 9.8),
        ),
    ),
    Claim(
        name="GB-03",
        statement="Under normalized initialisation activations keep their scale.",
        source="figure 6, bottom",
        grids=("initial",),
        parts=(
            Part("std h, largest over smallest layer", 1, 1.8, per_seed(H["glorot"], spread), 1.0),
            Part("… over that of standard", 0, 0.25, spread_against_standard),
        ),
    ),
    Claim(
        name="GB-04",
        statement="Under standard initialisation back-propagated gradients shrink towards the input.",
        source="figure 7, top",
        grids=("initial",),
        parts=(
            Part("std dz, layer 5 over 1", 7, 13, per_seed(DZ["standard"], top_over_bottom), 10.5),
            Part("smallest step upwards", 1, np.inf, per_seed(DZ["standard"], smallest_step)),
        ),
    ),
    Claim(
        name="GB-05",
        statement="Under normalized initialisation back-propagated gradients are flat.",
        source="figure 7, bottom",
        grids=("initial",),
        parts=(Part("std dz, largest over smallest layer", 1, 1.8, per_seed(DZ["glorot"], spread), 1.0),),
    ),
    Claim(
        name="GB-06",
        statement="Weight gradients are flat over layers under both, though back-propagated ones are not.",
        source="figure 8, eq. 14",
        grids=("initial",),
        parts=(
            Part("std dW, largest over smallest, standard", 1, 1.25, per_seed(DW["standard"], spread), 1.0),
            Part("std dW, largest over smallest, normalized", 1, 1.3, per_seed(DW["glorot"], spread), 1.0),
        ),
    ),
    Claim(
        name="GB-07",
        statement="Normalized initialisation makes weight gradients larger.",
        source="figure 8",
        grids=("initial",),
        parts=(Part("std dW at layer 3, normalized over standard", 3, np.inf, middle_gradient, 6.5),),
    ),
    Claim(
        name="GB-08",
        statement="The mean singular value of a layer's Jacobian is about 0.8 normalized, 0.5 standard.",
        source="section 4.2.1, eq. 17",
        grids=("initial",),
        parts=(
            Part("mean singular value, standard", 0.47, 0.51, mean_singular_value("standard"), 0.5),
            Part("mean singular value, normalized", 0.73, 0.83, mean_singular_value("glorot"), 0.8),
        ),
    ),
    Claim(
        name="GB-09",
        statement="ln rms(dz) rises by ½ ln 3 = 0.549 a layer in a linear net, a little more with tanh.",
        source="eq. 13",
        grids=("initial", "linear"),
        parts=(
            Part(
                "slope of ln dz, linear",
                0.519,
                0.579,
                per_seed(of("dz_rms", "linear", "standard"), log_slope),
                0.549,
            ),
            Part("slope of ln dz, tanh", 0.52, 0.62, per_seed(DZ["standard"], log_slope), 0.549),
        ),
    ),
    Claim(
        name="GB-10",
        statement="With sigmoids, where eq. 14 does not apply, dz and dW both collapse (our contrast).",
        source="not a claim of the paper",
        grids=("sigmoid",),
        parts=(
            Part("std dz a layer, standard", 6.5, 7.5, per_seed(SIGMOID["standard"], mean_factor)),
            Part("std dz a layer, normalized", 4.0, 4.7, per_seed(SIGMOID["glorot"], mean_factor)),
            Part(
                "std dz, layer 5 over 1, standard",
                1000,
                np.inf,
                per_seed(SIGMOID["standard"], top_over_bottom),
            ),
            Part(
                "std dW, layer 5 over 1, standard",
                1000,
                np.inf,
                per_seed(of("dw_rms", "sigmoid", "standard"), top_over_bottom),
            ),
        ),
    ),
)


def figures(results: Results) -> Mapping[str, Picture]:
    """Figures 6, 7 and 8 and the profiles behind them, then the short training's."""
    drawn: dict[str, Picture] = {}
    initial = results.grid("initial")
    if not initial.layers.empty:
        profiles = draw.profiles(results.select([*results.grids["initial"], *results.grids.get("sigmoid", [])]))
        drawn["profiles"] = profiles
        for number, quantity, said in (
            (
                6,
                "h",
                "standard activations crowd around 0 in the upper layers, normalized ones keep their width",
            ),
            (7, "dz", "standard gradients crowd around 0 in the lower layers, normalized ones overlap"),
            (8, "dw", "all layers overlap under both, and normalized gradients are several times larger"),
        ):
            if not initial.histograms.empty:
                figure = draw.histograms(initial, quantity, names=["standard", "glorot"]).figure
                drawn[f"figure{number}"] = Picture(
                    figure,
                    f"Figure {number} of the paper: {AXES[quantity]} at initialisation, tanh, 300 "
                    f"monitoring examples, 1 seed; standard above, normalized below. There {said}.",
                )
    training = results.grid("training")
    if not training.layers.empty:
        drawn["training"] = draw.curves(training)
        drawn["heatmap"] = draw.heatmap(training)
        drawn["speeds"] = draw.speeds(training)
    return drawn
