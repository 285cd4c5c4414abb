"""The claims of Griewank & Walther (2000): how many steps a reversal with s snapshots runs again."""

from functools import cache

import numpy as np
import xarray as xr

from vgexp.claims import Claim, Criterion, Grid, largest
from vgexp.networks import extra_steps
from vgexp.papers.budget import units
from vgexp.results import Results, exact

STEP = 2 * 64**3
"""FLOPs of one step forward, a product of two 64 x 64 matrices."""
DEPTHS, SNAPSHOTS = (32, 128), (2, 3, 5, 8, 16)


def revolve(depth: int, snapshots: int) -> Grid:
    return Grid("revolve", {"model.depth": depth, "checkpoint.every": f"revolve({snapshots})"})


@cache
def fewest(n: int, s: int) -> int:
    """The fewest steps that a reversal of n steps with s snapshots runs again, by dynamic programming."""
    if n == 1:
        return 0
    if s == 1:
        return n * (n - 1) // 2
    return min(m + fewest(n - m, s - 1) + fewest(m, s) for m in range(1, n))


def disagreements(_: Results) -> np.ndarray:
    """Chains of up to 60 steps and 6 snapshots for which the formula is not the optimum."""
    return np.array([sum(extra_steps(n, s) != fewest(n, s) for s in range(1, 7) for n in range(1, 61))])


def recomputed(depth: int, snapshots: int, r: Results) -> xr.DataArray:
    """Steps run again, from the FLOPs of the backward pass beyond those of storing."""
    stored = Grid("store", {"model.depth": depth}).runs(r, "backward_flops")
    return (revolve(depth, snapshots).runs(r, "backward_flops") - stored) / STEP


def largest_difference(depth: int, r: Results) -> xr.DataArray:
    """Between the steps run again and the formula, over the numbers of snapshots."""
    differences = [abs(recomputed(depth, s, r) - extra_steps(depth, s)) for s in SNAPSHOTS]
    return largest(xr.concat(differences, "snapshots", join="inner"), "snapshots")


# fmt: off
CLAIMS = (
    Claim("GW-01", "t n - C(s + t, s + 1) is the fewest steps that can be recomputed.", "theorem 1", (
        Criterion("disagreements with dynamic programming, n ≤ 60, s ≤ 6", 0, 0, disagreements, 0, by=exact),
    )),
    Claim("GW-02", "revolve recomputes exactly that many.", "theorem 1", grids=("store", "revolve"), criteria=tuple(
        Criterion(f"largest difference from the formula, n = {depth}", 0, 1e-6,
                  lambda r, depth=depth: largest_difference(depth, r), 0, by=exact) for depth in DEPTHS
    )),
    Claim("GW-03", "Snapshots are all the memory it needs: from 2 to 16 of them it grows by 14 states.",
          "section 2", grids=("revolve",), criteria=tuple(
        Criterion(f"live units with 16 less with 2, n = {depth}", 13.5, 14.5,
                  lambda r, depth=depth: units(revolve(depth, 16), r) - units(revolve(depth, 2), r), 14, by=exact)
        for depth in DEPTHS
    )),
    Claim("GW-04", "1000 steps take four more sweeps with 10 snapshots, three with 17.", "table 1", (
        Criterion("steps recomputed a step, s = 10", 3, 4, lambda _: np.array([extra_steps(1000, 10) / 1000]),
                  by=exact),
        Criterion("steps recomputed a step, s = 17", 2, 3, lambda _: np.array([extra_steps(1000, 17) / 1000]),
                  by=exact),
    )),
)
# fmt: on
