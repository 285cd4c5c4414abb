"""The claims of chen2016."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from vgexp.claims import Claim, Measure, Part, Selection, added, ratio, scaled
from vgexp.results import Results

DEPTHS = (4, 16, 64, 256, 1024)
UNIT = 64 * 64 * 4
SNAPSHOTS = 10
WAYS: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "store": ("store everything", lambda n: n, "n"),
    "segments": ("checkpoint every √n layers", lambda n: 2 * np.sqrt(n), "2√n"),
    "revolve": (f"revolve, {SNAPSHOTS} snapshots", lambda n: np.minimum(n, SNAPSHOTS), f"{SNAPSHOTS}"),
    "invert": ("reversible, rebuilt", lambda n: np.ones_like(n), "1"),
}


def at(grid: str, depth: int) -> Selection:
    return Selection(grid, {"model.depth": depth})


def units(grid: str, depth: int) -> Measure:
    """Peak of live bytes, in units of one layer's activations."""
    return scaled(1 / UNIT, at(grid, depth).total("live_bytes"))


def work(grid: str, depth: int) -> Measure:
    """FLOPs of a whole step."""
    return added(at(grid, depth).total("forward_flops"), at(grid, depth).total("backward_flops"))


def growth(grid: str) -> Measure:
    """Exponent of depth: slope of ln units over ln n from 64 layers on."""

    def measured(results: Results) -> np.ndarray:
        low, high = (np.log(np.asarray(units(grid, depth)(results))) for depth in (64, 1024))
        return (high - low) / math.log(1024 / 64)

    return measured


def step_time(grid: str) -> Measure:
    return added(Selection(grid).milliseconds("forward_ms"), Selection(grid).milliseconds("backward_ms"))


# fmt: off
CLAIMS = (
    Claim("CH-01", "Storing everything takes memory proportional to depth.", "section 1", grids=("store",), parts=(
        Part("live units at depth 1024", 0.98 * 1024, 1.02 * 1024, units("store", 1024), 1024),
        Part("exponent of depth", 0.95, 1.05, growth("store"), 1.0),
    )),
    Claim("CH-02", "Checkpoints every √n layers take O(√n) memory.", "section 4.2", grids=("segments",), parts=(
        Part("live units at depth 1024", 2, 1.1 * 2 * 32, units("segments", 1024), 64),
        Part("exponent of depth", 0.4, 0.6, growth("segments"), 0.5),
    )),
    Claim("CH-03", "… for one more forward pass.", "section 4.2", grids=("store", "segments"), parts=(
        Part("FLOPs of a step, over storing, at depth 1024", 1.33, 1.34,
             ratio(work("segments", 1024), work("store", 1024)), 4 / 3),
    )),
    Claim("CH-04", "Recursive checkpoints take O(log n) memory for O(n log n) work (here: revolve, log₂ n snapshots).",
          "section 4.3", grids=("store", "revolve"), parts=(
        Part("live units at depth 1024", 1, 2 * 10, units("revolve", 1024), 10),
        Part("forward passes more than storing, at depth 1024", 0, 10,
             scaled(3, lambda results: np.asarray(ratio(work("revolve", 1024), work("store", 1024))(results)) - 1), 10),
    )),
    Claim("CH-05", "Inference needs the memory of its most demanding layer, at any depth (an input, a z and an h).",
          "section 3", grids=("store",), parts=tuple(
        Part(f"live units of inference at depth {depth}", 2.99, 3.01,
             scaled(1 / UNIT, at("store", depth).total("inference_bytes")), 3) for depth in (4, 1024)
    )),
    Claim("CH-06", "A step takes about 30 % longer (16 layers of 256 units, batches of 256).", "section 5.3",
          grids=("time", "time_segments"), scale="small", parts=(
        Part("time of a step, over storing", 1.1, 1.6, ratio(step_time("time_segments"), step_time("time")), 1.3),
    )),
    Claim("CH-07", "A network of 4096 layers trains where its activations would not fit (256 units, batches of 256).",
          "section 5", grids=("deep",), scale="small", parts=(
        Part("memory of the process (GB), 1.07 of it parameters", 1.07, 2.0,
             scaled(1e-9, Selection("deep").total("peak_bytes"))),
    )),
)
# fmt: on
