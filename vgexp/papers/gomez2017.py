"""Gomez et al. (2017): activations rebuilt instead of stored, and how far that can be trusted.

A block is two layers, one coupling of either half. The error of a rebuilt state is relative to the true one.
"""

from collections.abc import Mapping

import numpy as np

from vgexp.analysis import estimate
from vgexp.claims import Claim, Measure, Part
from vgexp.measures import Selection, added, ratio, scaled
from vgexp.report import draw
from vgexp.store import Results
from vgexp.style import COLORS, MARKERS, Picture, legend, panels

CITATION = (
    "Gomez, Ren, Urtasun & Grosse (2017), The Reversible Residual Network: Backpropagation Without Storing Activations"
)
INTRO = (
    "Additive couplings of two halves; a block is two layers. A unit is the memory of one layer's activations. "
    "Branches are r relu(b W + c) with 128 units: He's initialisation with r = 1, LeCun's with r = 1, He's with r = "
    "0.1."
)
UNIT = 64 * 64 * 4
SCALES = {"he": "He, r = 1", "lecun": "LeCun, r = 1", "scaled": "He, r = 0.1"}
DEPTHS = (11, 21, 41, 101, 201)
"""Layers: one ordinary one, then 5, 10, 20, 50 and 100 blocks."""


def at(depth: int, memory: str) -> Selection:
    return Selection("memory", {"model.depth": depth, "memory": memory})


def work(depth: int, memory: str) -> Measure:
    """FLOPs of a whole step."""
    return added(at(depth, memory).total("forward_flops"), at(depth, memory).total("backward_flops"))


def error(grid: str, blocks: int) -> Measure:
    """The largest relative error of a rebuilt state."""
    return Selection(grid, {"model.depth": 2 * blocks + 1}).largest("rebuild_error")


def gradient_error(results: Results) -> np.ndarray:
    """The largest relative difference of rms dW between inverting and storing, over layers, a seed."""
    dw = [Selection("gradients", {"memory": memory}).at("dw_rms")(results) for memory in ("store", "invert")]
    return np.abs(dw[1] / dw[0] - 1).max(1)


# fmt: off
CLAIMS = (
    Claim("GO-01", "Memory for activations does not grow with depth.", "table 1", grids=("memory",), parts=(
        Part("live bytes, 1024 layers over 16", 0.99, 1.01,
             ratio(at(1024, "invert").total("live_bytes"), at(16, "invert").total("live_bytes")), 1.0),
        Part("… when stored", 50, 70,
             ratio(at(1024, "store").total("live_bytes"), at(16, "store").total("live_bytes"))),
    )),
    Claim("GO-02", "Rebuilding costs about a third more products.", "section 3.2", grids=("memory",), parts=(
        Part("FLOPs of a step, over storing, at depth 1024", 1.32, 1.34,
             ratio(work(1024, "invert"), work(1024, "store")), 4 / 3),
    )),
    Claim("GO-03", "Gradients from rebuilt states are those from stored ones, up to rounding (50 blocks, r = 0.1).",
          "section 3.2", grids=("gradients",), parts=(
        Part("relative difference of rms dW, largest layer", 0, 1e-5, gradient_error),
    )),
    Claim("GO-04", "With branches a tenth of He's, 50 blocks are rebuilt to 1e-5 in float32.", "our contrast",
          grids=("scaled",), parts=(Part("relative error, largest layer", 0, 1e-5, error("scaled", 50)),)),
    Claim("GO-05", "… and so are 100 blocks.", "our contrast", grids=("scaled",), parts=(
        Part("relative error, largest layer", 0, 1e-5, error("scaled", 100), 3.7e-7),
    ), expected_verdict="refuted", explanation="rounding grows with depth; 50 blocks, 100 couplings, hold"),
    Claim("GO-06", "At He's scale nothing is left of the state after 20 blocks.", "our contrast",
          grids=("he",), parts=(Part("relative error, largest layer", 1, np.inf, error("he", 20), 6.4),)),
    Claim("GO-07", "A reversible network of 4096 layers trains where activations would not fit (2 x 256 units, "
          "batches of 256).", "section 3.2", grids=("deep",), scale="small", parts=(
        Part("memory of the process (GB)", 0, 2.0, scaled(1e-9, Selection("deep").total("peak_bytes"))),
    )),
)
# fmt: on


def figures(results: Results) -> Mapping[str, Picture | str]:
    """Errors of rebuilt states: the largest against depth, and layer by layer."""
    return draw({"errors": errors, "layers": layers}, results)


def errors(results: Results) -> Picture:
    """The largest relative error against depth, at three scales of the branches."""
    with panels(1, 1, size=(4.4, 3.2)) as (figure, axes):
        ax = axes[0, 0]
        for number, (grid, label) in enumerate(SCALES.items()):
            blocks = [(depth - 1) // 2 for depth in DEPTHS]
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = [estimate(np.log10(error(grid, one)(results))) for one in blocks]
            points = np.array([10**one.point for one in logs])
            seen = np.isfinite(points)
            ax.plot(np.array(blocks)[seen], points[seen], f"{MARKERS[number]}-", color=COLORS[number], label=label)
        ax.axhline(1, color="0.4", linewidth=0.7, linestyle=":")
        ax.axhline(2**-24, color="0.4", linewidth=0.7, linestyle="--")
        ax.set(
            xscale="log", yscale="log", xlabel="blocks", ylabel="relative error of a rebuilt state", ylim=(1e-8, 1e24)
        )
        legend(figure, ax)
    return Picture(
        figure,
        "The largest relative error of a rebuilt state, geometric mean of 5 seeds, float32. Dashed: rounding; "
        "dotted: nothing left of the state. Rounding errors grow exponentially with depth unless the branches are "
        "small. Values that overflowed are left out.",
    )


def layers(results: Results) -> Picture:
    """The error layer by layer in 50 blocks."""
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        ax = axes[0, 0]
        for number, (grid, label) in enumerate(SCALES.items()):
            values_SL = Selection(grid, {"model.depth": 101}).at("rebuild_error")(results)[:, 1:]
            layer = np.arange(2, 2 + values_SL.shape[1])
            ax.plot(layer, np.exp(np.log(values_SL).mean(0)), color=COLORS[number], label=label)
        ax.set(yscale="log", xlabel="layer", ylabel="relative error of a rebuilt state")
        legend(figure, ax)
    return Picture(
        figure,
        "The same layer by layer in 50 blocks (geometric mean of 5 seeds): the states are rebuilt from the top down, "
        "and every coupling magnifies the errors of those above.",
    )
