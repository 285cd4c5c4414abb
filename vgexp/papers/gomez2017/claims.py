"""The claims of Gomez et al. (2017): memory, work and rounding errors of networks whose activations are rebuilt."""

import numpy as np
import xarray as xr

from vgexp.claims import Claim, Criterion, Grid, largest
from vgexp.papers.budget import flops, gigabytes
from vgexp.results import Results, exact, geometric_mean

SCALES = {"he": "He, r = 1", "lecun": "LeCun, r = 1", "scaled": "He, r = 0.1"}
DEPTHS = (11, 21, 41, 101, 201)
"""Layers: one ordinary one, then 5, 10, 20, 50 and 100 blocks."""
DEEP = Grid("deep")


def at(depth: int, memory: str) -> Grid:
    return Grid("memory", {"model.depth": depth, "memory": memory})


def deeper(memory: str, r: Results) -> xr.DataArray:
    """Live bytes of 1024 layers over those of 16."""
    return at(1024, memory).runs(r, "live_bytes") / at(16, memory).runs(r, "live_bytes")


def error(grid: str, depth: int, r: Results) -> xr.DataArray:
    """The relative error of the rebuilt states over the layers; NaN at the first, which is stored, and where it
    overflowed."""
    return Grid(grid, {"model.depth": depth}).layers(r, "rebuild_error", gaps=True).sel(step=0)


def largest_error(grid: str, blocks: int, r: Results) -> xr.DataArray:
    return error(grid, 2 * blocks + 1, r).max("layer", skipna=True)


def gradient_error(r: Results) -> xr.DataArray:
    """The largest relative difference of rms dW between inverting and storing, over the layers."""
    stored, rebuilt = (Grid("gradients", {"memory": memory}).layers(r, "dw_rms") for memory in ("store", "invert"))
    return largest(abs(rebuilt / stored - 1).sel(step=0))


# fmt: off
CLAIMS = (
    Claim("GO-01", "Memory for activations does not grow with depth.", "table 1", grids=("memory",), criteria=(
        Criterion("live bytes, 1024 layers over 16", 0.99, 1.01, lambda r: deeper("invert", r), 1.0, by=exact),
        Criterion("… when stored", 50, 70, lambda r: deeper("store", r), by=exact),
    )),
    Claim("GO-02", "Rebuilding costs about a third more products.", "section 3.2", grids=("memory",), criteria=(
        Criterion("FLOPs of a step, over storing, at depth 1024", 1.32, 1.34,
                  lambda r: flops(at(1024, "invert"), r) / flops(at(1024, "store"), r), 4 / 3, by=exact),
    )),
    Claim("GO-03", "Gradients from rebuilt states have the norms of those from stored ones (50 blocks, r = 0.1).",
          "section 3.2", grids=("gradients",), criteria=(
        Criterion("relative difference of rms dW, largest layer", 0, 1e-5, gradient_error, by=geometric_mean),
    )),
    Claim("GO-04", "With branches a tenth of He's, 50 blocks are rebuilt to 1e-5 in float32.", "our contrast",
          grids=("scaled",), criteria=(
        Criterion("relative error, largest layer", 0, 1e-5, lambda r: largest_error("scaled", 50, r),
                  by=geometric_mean),
    )),
    Claim("GO-05", "… and so are 100 blocks.", "our contrast", grids=("scaled",), criteria=(
        Criterion("relative error, largest layer", 0, 1e-5, lambda r: largest_error("scaled", 100, r),
                  reference=3.7e-7, by=geometric_mean),
    ), expected_verdict="refuted", explanation="rounding grows with depth; 50 blocks, 100 couplings, hold"),
    Claim("GO-06", "At He's scale nothing is left of the state after 20 blocks.", "our contrast",
          grids=("he",), criteria=(
        Criterion("relative error, largest layer", 1, np.inf, lambda r: largest_error("he", 20, r),
                  reference=6.4, by=geometric_mean),
    )),
    Claim("GO-07", "Steps of a reversible network of 4096 layers fit where its activations would not (2 x 256 units, "
          "batches of 256).", "section 3.2", grids=("deep",), scale="small", criteria=(
        Criterion("peak memory (GB)", 0, 2.0, lambda r: gigabytes(DEEP, r), by=geometric_mean),
    )),
)
# fmt: on
