"""The claims of gomez2017."""

import numpy as np

from vgexp.claims import Claim, Measure, Part, Selection, added, ratio, scaled
from vgexp.results import Results

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
