"""The claims of griewank2000."""

from functools import cache

import numpy as np

from vgexp.claims import Claim, Measure, Part, Selection, difference, scaled
from vgexp.networks import extra_steps
from vgexp.results import Results

STEP = 2 * 64**3
DEPTHS, SNAPSHOTS = (32, 128), (2, 3, 5, 8, 16)


@cache
def fewest(n: int, s: int) -> int:
    """The optimum by dynamic programming: fewest steps besides the taped ones."""
    if n == 1:
        return 0
    if s == 1:
        return n * (n - 1) // 2
    return min(m + fewest(n - m, s - 1) + fewest(m, s) for m in range(1, n))


def disagreements(_: Results) -> np.ndarray:
    """Chains of up to 60 steps and 6 snapshots for which the formula is not the optimum."""
    return np.array([sum(extra_steps(n, s) != fewest(n, s) for s in range(1, 7) for n in range(1, 61))])


def recomputed(depth: int, snapshots: int) -> Measure:
    """Steps run again, from the FLOPs of the backward pass beyond those of storing."""
    where = {"model.depth": depth, "checkpoint.every": f"revolve({snapshots})"}
    reversal = Selection("revolve", where).total("backward_flops")
    return scaled(1 / STEP, difference(reversal, Selection("store", {"model.depth": depth}).total("backward_flops")))


def off(depth: int) -> Measure:
    """The largest difference between steps run and the formula, over the numbers of snapshots."""

    def measured(results: Results) -> np.ndarray:
        return np.max(
            [np.abs(np.asarray(recomputed(depth, s)(results)) - extra_steps(depth, s)) for s in SNAPSHOTS], axis=0
        )

    return measured


def held(depth: int, snapshots: int) -> Measure:
    where = {"model.depth": depth, "checkpoint.every": f"revolve({snapshots})"}
    return scaled(1 / (64 * 64 * 4), Selection("revolve", where).total("live_bytes"))


# fmt: off
CLAIMS = (
    Claim("GW-01", "t n - C(s + t, s + 1) is the fewest steps that can be recomputed.", "theorem 1", (
        Part("disagreements with dynamic programming, n ≤ 60, s ≤ 6", 0, 0, disagreements, 0),
    )),
    Claim("GW-02", "revolve recomputes exactly that many.", "theorem 1", grids=("store", "revolve"), parts=tuple(
        Part(f"largest difference from the formula, n = {depth}", 0, 1e-6, off(depth), 0) for depth in DEPTHS
    )),
    Claim("GW-03", "Snapshots are all the memory it needs: from 2 to 16 of them it grows by 14 states.",
          "section 2", grids=("revolve",), parts=tuple(
        Part(f"live units with 16 less with 2, n = {depth}", 13.5, 14.5,
             difference(held(depth, 16), held(depth, 2)), 14)
        for depth in DEPTHS
    )),
    Claim("GW-04", "1000 steps take four more sweeps with 10 snapshots, three with 17.", "table 1", (
        Part("steps recomputed a step, s = 10", 3, 4, lambda _: np.array([extra_steps(1000, 10) / 1000])),
        Part("steps recomputed a step, s = 17", 2, 3, lambda _: np.array([extra_steps(1000, 17) / 1000])),
    )),
)
# fmt: on
