"""The claims of Chen et al. (2016): how memory and work grow with depth when activations are computed again."""

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from xarray.ufuncs import log

from vgexp.claims import Claim, Criterion, Grid
from vgexp.papers.budget import UNIT, flops, gigabytes, step_milliseconds, units
from vgexp.results import Results, exact, geometric_mean

DEPTHS = (4, 16, 64, 256, 1024)
SNAPSHOTS = 10
WAYS: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "store": ("store everything", lambda n: n, "n"),
    "segments": ("checkpoint every √n layers", lambda n: 2 * np.sqrt(n), "2√n"),
    "revolve": (f"revolve, {SNAPSHOTS} snapshots", lambda n: np.minimum(n, SNAPSHOTS), f"{SNAPSHOTS}"),
    "invert": ("reversible, rebuilt", lambda n: np.ones_like(n), "1"),
}
"""Grid -> its name, and the leading term of its memory in units of one layer's activations."""
TIME, TIME_SEGMENTS, DEEP = Grid("time"), Grid("time_segments"), Grid("deep")
FEWER = Grid("fewer_snapshots")
"""64 layers with 6 snapshots, log2 of 64 as 10 is of 1024."""


def at(way: str, depth: int) -> Grid:
    return Grid(way, {"model.depth": depth})


def exponent(way: str, r: Results) -> xr.DataArray:
    """Exponent of depth: slope of ln units over ln n from 64 layers on."""
    return log(units(at(way, 1024), r) / units(at(way, 64), r)) / log(1024 / 64)


def over_storing(way: str, r: Results) -> xr.DataArray:
    """FLOPs of a step at depth 1024 over those when everything is stored."""
    return flops(at(way, 1024), r) / flops(at("store", 1024), r)


# fmt: off
CLAIMS = (
    Claim("CH-01", "Storing everything takes memory proportional to depth.", "section 1", grids=("store",), criteria=(
        Criterion("live units at depth 1024", 0.98 * 1024, 1.02 * 1024, lambda r: units(at("store", 1024), r), 1024,
                  by=exact),
        Criterion("exponent of depth", 0.95, 1.05, lambda r: exponent("store", r), 1.0, by=exact),
    )),
    Claim("CH-02", "Checkpoints every √n layers take O(√n) memory.", "section 4.2", grids=("segments",), criteria=(
        Criterion("live units at depth 1024", 2, 1.1 * 2 * 32, lambda r: units(at("segments", 1024), r), 64, by=exact),
        Criterion("exponent of depth", 0.4, 0.6, lambda r: exponent("segments", r), 0.5, by=exact),
    )),
    Claim("CH-03", "… for one more forward pass.", "section 4.2", grids=("store", "segments"), criteria=(
        Criterion("FLOPs of a step, over storing, at depth 1024", 1.33, 1.34,
                  lambda r: over_storing("segments", r), 4 / 3, by=exact),
    )),
    Claim("CH-04", "Recursive checkpoints take O(log n) memory for O(n log n) work (here: revolve, log₂ n snapshots).",
          "section 4.3", grids=("store", "revolve", "fewer_snapshots"), criteria=(
        Criterion("live units more for each doubling of depth, 64 to 1024", 0, 2,
                  lambda r: (units(at("revolve", 1024), r) - units(FEWER, r)) / np.log2(1024 / 64), 1, by=exact),
        Criterion("live units at depth 1024", 1, 2 * 10, lambda r: units(at("revolve", 1024), r), 10, by=exact),
        Criterion("forward passes more than storing, at depth 1024", 0, 10,
                  lambda r: 3 * (over_storing("revolve", r) - 1), 10, by=exact),
    )),
    Claim("CH-05", "Inference needs the memory of its most demanding layer, at any depth (an input, a z and an h).",
          "section 3", grids=("store",), criteria=tuple(
        Criterion(f"live units of inference at depth {depth}", 2.99, 3.01,
                  lambda r, depth=depth: at("store", depth).runs(r, "inference_bytes") / UNIT,
                  reference=3, by=exact)
        for depth in (4, 1024)
    )),
    Claim("CH-06", "A step takes about 30 % longer (16 layers of 256 units, batches of 256).", "section 5.3",
          grids=("time", "time_segments"), scale="small", criteria=(
        Criterion("time of a step, over storing", 1.2, 1.4,
                  lambda r: step_milliseconds(TIME_SEGMENTS, r) / step_milliseconds(TIME, r), 1.3,
                  by=geometric_mean),
    ), expected_verdict="refuted", explanation="a third more products (CH-03), and on a processor what goes with each "
       "product, as allocating and activations, once more; the paper's layers are convolutions on a GPU"),
    Claim("CH-07", "Steps of a network of 4096 layers fit where its activations would not (256 units, batches of 256).",
          "section 5", grids=("deep",), scale="small", criteria=(
        Criterion("peak memory (GB), 1.07 of it parameters", 1.07, 2.0, lambda r: gigabytes(DEEP, r),
                  by=geometric_mean),
    )),
)
# fmt: on
