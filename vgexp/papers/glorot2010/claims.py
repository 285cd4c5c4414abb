"""The claims of Glorot & Bengio (2010), numbered as in our list of them.

Numbers of the paper are its text's, or read off its plots. Ratios and profiles are claimed, absolute gradient scales
are not: the paper does not state whether it averages over the batch.
"""

import numpy as np

from vgexp.claims import (
    Claim,
    Measure,
    Missing,
    Part,
    Selection,
    bottom_over_top,
    difference,
    each,
    first_step,
    layer,
    log_slope,
    mean_factor,
    ratio,
    scaled,
    smallest_step,
    spread,
    step_up,
    top_over_bottom,
    width,
)
from vgexp.data import PRIORS
from vgexp.papers.glorot2010 import surfaces
from vgexp.results import Results

DEPTH = 5
INITIAL = {init: Selection("initial", {"init.name": init}) for init in ("standard", "glorot")}
SIGMOID = {init: Selection("sigmoid", {"init.name": init}) for init in ("standard", "glorot")}
LINEAR = Selection("linear")
WIDTHS = {
    "shrinking": Selection("widths", {"model.width": "[1400, 1200, 1000, 800, 600]"}),
    "growing": Selection("widths", {"model.width": "[600, 800, 1000, 1200, 1400]"}),
}
PLATEAU = Selection("plateau")
ESCAPE = Selection("escape", {"model.depth": 4})
TANH, TANH_N, SOFTSIGN, SOFTSIGN_N, SIGMOID_5, SIGMOID_4 = map(
    Selection, ("tanh", "tanh_n", "softsign", "softsign_n", "sigmoid_depth5", "sigmoid_depth4")
)
ROWS = {"Softsign": SOFTSIGN, "Softsign N": SOFTSIGN_N, "Tanh": TANH, "Tanh N": TANH_N, "Sigmoid": SIGMOID_5}
"""The rows of Table 1, on Shapeset."""
FINITE = {"Softsign": "softsign", "Softsign N": "softsign_n", "Tanh": "tanh", "Tanh N": "tanh_n", "Sigmoid": "sigmoid"}
"""The same rows on a finite data set, whose grids are named <data>_<row>."""
PRIOR = float(-(PRIORS * PRIORS.log()).sum())
"""Nats lost by who knows the frequencies of Shapeset's classes and nothing else: 2.110."""
SETTLED = 20_000
"""Updates from which on the gradients of training are compared."""
LAST = 3
"""Evaluations that a final error is the mean of: between neighbours it jitters by a point or two."""


def finite(data: str, row: str) -> Selection:
    """A row of Table 1 on digits, mnist or cifar10."""
    return Selection(f"{data}_{FINITE[row]}")


def percent(selection: Selection) -> Measure:
    """Final test error in per cent."""
    return scaled(100, selection.final("test_error", LAST))


def scaled_variance(x_SL: np.ndarray) -> np.ndarray:
    """n Var W of the square matrices, layers 2..5."""
    return 1000 * (x_SL[:, 1:] ** 2).mean(1)


def scaled_bound(x_SL: np.ndarray) -> np.ndarray:
    """sqrt(n) max |W| of the square matrices."""
    return np.sqrt(1000) * x_SL[:, 1:].max(1)


def lowest_top_mean(results: Results) -> np.ndarray:
    """The smallest mean activation of the top hidden layer in training."""
    return ESCAPE.track("h_mean", results).values_STL[:, :, -1].min(1)


def last_top_mean(results: Results) -> np.ndarray:
    return ESCAPE.track("h_mean", results).values_STL[:, -1, -1]


def escape_step(results: Results) -> np.ndarray:
    """Updates until the validation loss is 0.15 nats below that of the classes' frequencies, ln 10 for ten digits."""
    steps_T, loss_ST = ESCAPE.curve("valid_loss", results)
    return first_step(steps_T, loss_ST < np.log(10) - 0.15)


def step_of_saturation(number: int) -> Measure:
    """Updates until the 98th percentile of a layer's activations is above 0.95."""

    def measured(results: Results) -> np.ndarray:
        steps_T, p98_STL = TANH.track("h_p98", results)
        return first_step(steps_T, p98_STL[:, :, number - 1] > 0.95)

    return measured


def nothing(_: Results) -> np.ndarray:
    """Of a claim that no run here decides."""
    raise Missing("no run here decides it")


def plateau_share(cost: str) -> Measure:
    """Fraction of the weights' square where the gradient is below 1 % of its largest, one value a random
    example."""
    return lambda _: np.array([surfaces.plateau(cost, example) for example in surfaces.examples()])


def slope_reversal(results: Results) -> np.ndarray:
    """rms dz at layer 5 over layer 1, pooled over the last fifth of training."""
    last = int(TANH.runs(results)["steps"].max())
    return top_over_bottom(TANH.pooled("dz_rms", last * 4 // 5)(results))


H = {init: INITIAL[init].at("h_std") for init in INITIAL}
DZ = {init: INITIAL[init].at("dz_rms") for init in INITIAL}
DW = {init: INITIAL[init].at("dw_rms") for init in INITIAL}
GROWTH = {name: each(row.pooled("dw_rms", SETTLED), bottom_over_top) for name, row in ROWS.items()}
"""std dW at layer 1 over layer 5 in training."""
SHAPESET = tuple(row.grid for row in ROWS.values())

# fmt: off
CLAIMS = (
    Claim("GB-01", "Standard initialisation has n Var W = 1/3, normalized 1, each within its exact bound.",
          "eqs. 1, 12, 15, 16", grids=("initial",), parts=(
        Part("n Var W, standard", 0.98 / 3, 1.02 / 3, each(INITIAL["standard"].at("w_rms"), scaled_variance), 1 / 3),
        Part("n Var W, normalized", 0.98, 1.02, each(INITIAL["glorot"].at("w_rms"), scaled_variance), 1.0),
        Part("√n max |W|, standard", 0.999, 1.0, each(INITIAL["standard"].at("w_max"), scaled_bound), 1.0),
        Part("√n max |W|, normalized", 0.999 * np.sqrt(3), np.sqrt(3) * (1 + 1e-6),
             each(INITIAL["glorot"].at("w_max"), scaled_bound), float(np.sqrt(3))),
    )),
    Claim("GB-02", "Under standard initialisation activations shrink from layer to layer.",
          "figure 6, top", grids=("initial",), parts=(
        *(Part(f"std h, layer {i + 1} over {i}", 0.52, 0.60, each(H["standard"], step_up(i)), 0.56)
          for i in range(1, DEPTH)),
        Part("std h, layer 1 over 5", 7.5, 12, each(H["standard"], bottom_over_top), 9.8),
    )),
    Claim("GB-03", "Under normalized initialisation activations keep their scale.",
          "figure 6, bottom", grids=("initial",), parts=(
        Part("std h, largest over smallest layer", 1, 1.8, each(H["glorot"], spread), 1.0),
        Part("… over that of standard", 0, 0.25, ratio(each(H["glorot"], spread), each(H["standard"], spread))),
    )),
    Claim("GB-04", "Under standard initialisation back-propagated gradients shrink towards the input.",
          "figure 7, top", grids=("initial",), parts=(
        Part("std dz, layer 5 over 1", 7, 13, each(DZ["standard"], top_over_bottom), 10.5),
        Part("smallest step upwards", 1, np.inf, each(DZ["standard"], smallest_step)),
    )),
    Claim("GB-05", "Under normalized initialisation back-propagated gradients are flat.",
          "figure 7, bottom", grids=("initial",), parts=(
        Part("std dz, largest over smallest layer", 1, 1.8, each(DZ["glorot"], spread), 1.0),
    )),
    Claim("GB-06", "Weight gradients are flat over layers under both, though back-propagated ones are not.",
          "figure 8, eq. 14", grids=("initial",), parts=(
        Part("std dW, largest over smallest, standard", 1, 1.25, each(DW["standard"], spread), 1.0),
        Part("std dW, largest over smallest, normalized", 1, 1.3, each(DW["glorot"], spread), 1.0),
    )),
    Claim("GB-07", "Normalized initialisation makes weight gradients larger.",
          "figure 8", grids=("initial",), parts=(
        Part("std dW at layer 3, normalized over standard", 3, np.inf,
             ratio(each(DW["glorot"], layer(3)), each(DW["standard"], layer(3))), 6.5),
    )),
    Claim("GB-08", "The mean singular value of a layer's Jacobian is about 0.8 normalized, 0.5 standard.",
          "section 4.2.1, eq. 17", grids=("initial",), parts=(
        Part("mean singular value, standard", 0.47, 0.51, INITIAL["standard"].spectrum_mean(), 0.5),
        Part("mean singular value, normalized", 0.73, 0.83, INITIAL["glorot"].spectrum_mean(), 0.8),
    )),
    Claim("GB-09", "ln rms(dz) rises by ½ ln 3 = 0.549 a layer in a linear net, a little more with tanh.",
          "eq. 13", grids=("initial", "linear"), parts=(
        Part("slope of ln dz, linear", 0.519, 0.579, each(LINEAR.at("dz_rms"), log_slope), 0.549),
        Part("slope of ln dz, tanh", 0.52, 0.62, each(DZ["standard"], log_slope), 0.549),
    )),
    Claim("GB-10", "With sigmoids, where eq. 14 does not apply, dz and dW both collapse (our contrast).",
          "not a claim of the paper", grids=("sigmoid",), parts=(
        Part("std dz a layer, standard", 6.5, 7.5, each(SIGMOID["standard"].at("dz_rms"), mean_factor)),
        Part("std dz a layer, normalized", 4.0, 4.7, each(SIGMOID["glorot"].at("dz_rms"), mean_factor)),
        Part("std dz, layer 5 over 1, standard", 1000, np.inf, each(SIGMOID["standard"].at("dz_rms"), top_over_bottom)),
        Part("std dW, layer 5 over 1, standard", 1000, np.inf, each(SIGMOID["standard"].at("dw_rms"), top_over_bottom)),
    )),
    Claim("GB-11", "The top hidden layer of a sigmoid network is driven to 0 at once, the layers below settle above ½, "
          "the higher the layer the more.", "figure 2", grids=("plateau",), parts=(
        Part("mean h, layer 4", 0, 0.1, each(PLATEAU.at("h_mean", None), layer(4)), 0.1),
        Part("mean h, layer 3", 0.6, 1, each(PLATEAU.at("h_mean", None), layer(3)), 0.65),
        Part("mean h, layer 3 less layer 2", 0, 1, each(PLATEAU.at("h_mean", None), lambda x: x[:, 2] - x[:, 1]), 0.12),
        Part("mean h, layer 2 less layer 1", -0.01, 1,
             each(PLATEAU.at("h_mean", None), lambda x: x[:, 1] - x[:, 0]), 0.03),
    )),
    Claim("GB-12", "While it is saturated the network knows no more than how frequent each class is.",
          "figures 2, 11", grids=("plateau",), parts=(
        Part("validation loss (nats)", PRIOR - 0.02, PRIOR + 0.1, PLATEAU.final("valid_loss"), PRIOR),
        Part("validation error (%)", 82.6, 84.0, scaled(100, PLATEAU.final("valid_error")), 83.4),
    )),
    Claim("GB-13", "With four layers the top one leaves saturation by itself, and then the network learns "
          "(digits, 4 × 100; at width 1000 it takes 0.7 to 2 million updates).",
          "figures 2, 11", grids=("escape",), parts=(
        Part("mean h, layer 4, lowest", 0, 0.02, lowest_top_mean, 0.012),
        Part("mean h, layer 4, at the end over the lowest", 5, np.inf, ratio(last_top_mean, lowest_top_mean), 5.8),
        Part("updates to leave the plateau", 0, 60_000, escape_step),
        Part("validation error at the end (%)", 0, 30, scaled(100, ESCAPE.final("valid_error"))),
    )),
    Claim("GB-14", "With five layers it never leaves saturation.", "figure 11", (
        Part("test error (%)", 82, 85, nothing, 83.4),
    ), reason="consistent with: no run can show a never; ours stay at the classes' frequencies to their end"),
    Claim("GB-15", "As the top layer desaturates, layer 1 begins to saturate (digits, 4 × 100).",
          "figure 2", grids=("escape",), parts=(
        Part("std h, layer 1, at the end over the start", 2, np.inf,
             ratio(each(ESCAPE.at("h_std", None), layer(1)), each(ESCAPE.at("h_std"), layer(1))), 3.9),
    )),
    Claim("GB-16", "Under standard initialisation tanh layers saturate one after the other, from the bottom.",
          "figure 3, top", grids=("tanh",), scale="small", parts=(
        Part("updates until p98 > 0.95, layer 1", 0, 80_000, step_of_saturation(1), 80_000),
        Part("p98 at the end, layer 2 over 1", 0, 0.9, each(TANH.at("h_p98", None), step_up(1))),
        Part("p98 at the end, largest step upwards", 0, 1,
             each(TANH.at("h_p98", None), lambda x: (x[:, 1:] / x[:, :-1]).max(1))),
    )),
    Claim("GB-17", "Softsign saturates less, and its layers move together.",
          "figure 3, bottom", grids=("tanh", "softsign"), scale="small", parts=(
        Part("p98 of h, largest layer", 0, 0.95, each(SOFTSIGN.at("h_p98", None), lambda x: x.max(1)), 0.75),
        Part("largest less smallest p98, softsign over tanh", 0, 0.9,
             ratio(each(SOFTSIGN.at("h_p98", None), width), each(TANH.at("h_p98", None), width))),
        Part("p98, layer 2 over 1", 0.8, 1.25, each(SOFTSIGN.at("h_p98", None), step_up(1)), 0.77),
    ), explanation="the lower three layers have reached their knees, the upper two are still on their way there"),
    Claim("GB-18", "After training tanh has mass at ±1, softsign at the knees, 0.5 to 0.8 (layer 1, the one that is "
          "there by 100,000 updates).", "figure 4", grids=("tanh", "softsign"), scale="small", parts=(
        Part("fraction |h| > 0.98, tanh", 0.01, 1, TANH.mass(0.98, 1, 1)),
        Part("fraction |h| > 0.98, softsign", 0, 0.001, SOFTSIGN.mass(0.98, 1, 1), 0.0),
        Part("fraction 0.5 < |h| < 0.8, softsign over tanh", 2, np.inf,
             ratio(SOFTSIGN.mass(0.5, 0.8, 1), TANH.mass(0.5, 0.8, 1))),
    )),
    Claim("GB-19", "In training weight gradients come to differ between layers, the lower the larger, and more so "
          "under standard initialisation.", "figure 9", grids=("tanh", "tanh_n"), scale="small", parts=(
        Part("std dW, layer 1 over 5, standard", 2, 8, GROWTH["Tanh"], 3.3),
        Part("std dW, layer 1 over 5, normalized", 1, 2.7, GROWTH["Tanh N"], 1.7),
        Part("… standard over normalized", 1.5, np.inf, ratio(GROWTH["Tanh"], GROWTH["Tanh N"]), 1.9),
    )),
    Claim("GB-20", "The fall of back-propagated gradients towards the input is soon undone by training.",
          "section 4.3", grids=("tanh",), scale="small", parts=(
        Part("std dz, layer 5 over 1, at the start", 7, 13, each(TANH.at("dz_rms"), top_over_bottom), 10.5),
        Part("std dz, layer 5 over 1, last fifth of training", 0, 1, slope_reversal),
    ), explanation="undone but for a factor 1.4, where it stays from 28,000 updates on; under Tanh N it turns round"),
    Claim("GB-21", "Under normalized initialisation all tanh layers come to saturate, and at once.",
          "figure 10", grids=("tanh_n",), scale="small", parts=(
        Part("p98 of h, smallest layer", 0.95, 1, each(TANH_N.at("h_p98", None), lambda x: x.min(1)), 1.0),
    ), explanation="here too layers saturate from the bottom, and the top one is not there when our updates end; "
       "the paper's learning rate and pixel range are not given"),
    Claim("GB-22", "On Shapeset Tanh N and Softsign are far ahead of Tanh, and Tanh of Sigmoid.",
          "figure 11, table 1", grids=SHAPESET, scale="small", parts=(
        Part("test error, Tanh less Tanh N (points)", 5, np.inf, difference(percent(TANH), percent(TANH_N)), 13.0),
        Part("test error, Tanh less Softsign (points)", 5, np.inf, difference(percent(TANH), percent(SOFTSIGN)), 22.0),
        Part("test error, Sigmoid less Tanh (points)", 5, np.inf, difference(percent(SIGMOID_5), percent(TANH)), 15.4),
    ), explanation="the order depends on the pixel range, which is not given: in [-1, 1], one seed, Softsign is 30 "
       "points ahead of Tanh, and Tanh no better than Sigmoid"),
    Claim("GB-23", "Final test errors on Shapeset.", "table 1", grids=SHAPESET, scale="paper", parts=tuple(
        Part(f"{name} (%)", paper - 1.5, paper + 1.5, percent(ROWS[name]), paper)
        for name, paper in (("Softsign", 16.27), ("Softsign N", 16.06), ("Tanh", 27.15), ("Tanh N", 15.6),
                            ("Sigmoid", 82.61))
    )),
    Claim("GB-24", "On MNIST only the sigmoid network is worse than the others.", "figure 12, table 1",
          grids=tuple(f"mnist_{row}" for row in FINITE.values()), scale="paper", parts=tuple(
        Part(f"{name} (%)", paper - 0.15, paper + 0.15, percent(finite("mnist", name)), paper)
        for name, paper in (("Softsign", 1.64), ("Softsign N", 1.72), ("Tanh", 1.76), ("Tanh N", 1.64),
                            ("Sigmoid", 2.21))
    )),
    Claim("GB-25", "On CIFAR-10 normalized initialisation is ahead of standard by two to three points.",
          "figure 12, table 1", grids=tuple(f"cifar10_{row}" for row in FINITE.values()), scale="small", parts=tuple(
        Part(f"test error, {name} less {name} N (points)", 0.5, 5,
             difference(percent(finite("cifar10", name)), percent(finite("cifar10", f"{name} N"))), paper)
        for name, paper in (("Tanh", 2.98), ("Softsign", 1.98))
    )),
    Claim("GB-26", "Pre-training with denoising autoencoders reaches about 11 % on Shapeset.", "figure 11", (
        Part("test error (%)", 10, 12, nothing, 11.0),
    ), scale="paper", reason="optional: there are no denoising autoencoders here"),
    Claim("GB-27", "On 100,000 examples an RBF SVM errs on 59.5 %, Tanh N on 50.5 %.", "section 4.1", (
        Part("test error (%)", 57.5, 61.5, nothing, 59.47),
    ), scale="paper", reason="optional: a kernel machine on 100,000 images is hours of work beside the subject"),
    Claim("GB-28", "The quadratic cost has larger plateaus than cross-entropy.", "figure 5", (
        Part("share with |gradient| < 1 % of the largest, quadratic less cross-entropy", 0.001, 1,
             difference(plateau_share("quadratic"), plateau_share("cross_entropy"))),
    )),
    Claim("GB-29", "Normalized initialisation does the same when widths shrink or grow with depth.",
          "section 4.2.1", grids=("widths",), parts=tuple(
        Part(f"std {of}, largest over smallest layer, widths {way}", 1, 2, each(rows.at(column), spread))
        for way, rows in WIDTHS.items() for of, column in (("h", "h_std"), ("dz", "dz_rms"))
    )),
    Claim("GB-30", "Step sizes from second derivatives help, but less than normalized initialisation.", "section 4.3", (
        Part("test error (%)", 0, 100, nothing),
    ), scale="paper", reason="optional: there are no second-order step sizes here"),
)
# fmt: on
