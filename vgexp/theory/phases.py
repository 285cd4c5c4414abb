"""Phases of wide plain networks: where lengths and correlations settle, how fast, and what becomes of gradients.

Ordered: two inputs end up alike (c* = 1) and gradients vanish (chi_1 < 1). Chaotic: nearby inputs part (c* < 1) and
gradients explode. Critical: chi_1 = 1, on a line in the plane of sigma_b^2 and sigma_w^2. Poole et al. (2016),
Schoenholz et al. (2017).
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from vgexp.config import Run
from vgexp.networks import INITIALIZERS, Activation, blueprints
from vgexp.numerics import critical_sigma_ws, root
from vgexp.theory.maps import chi_1, chi_c, correlation_map, gap_map, length_map, length_slope
from vgexp.theory.sampled import NoTheory

CRITICAL = 1e-5
"""|ln chi_1| below this is critical: it takes 100,000 layers to show."""
TANGENT = 1e-7
"""The length map touches the diagonal where the relative change of lengths comes this close to 0 and turns back."""
SHORTEST, LONGEST, A_DECADE = 1e-18, 1e12, 50
"""Lengths among which fixed points are looked for, and how many of them."""


class FixedPoint(NamedTuple):
    """A length q that a layer keeps."""

    q: float
    """NaN where every length is kept."""
    stability: str
    """`stable`, `unstable`, `half-stable` (approached from one side, left on the other) or `neutral`."""


class Phase(NamedTuple):
    """Where a wide plain network takes signals of some length, and what happens to gradients there."""

    name: str
    """`ordered`, `critical`, `chaotic`, or `diverges` where the length grows without bound."""
    q_star: float
    chi_1: float
    """What a layer multiplies the mean square of gradients by."""
    c_star: float
    """The correlation that two inputs end up with. NaN where lengths diverge."""
    xi_q: float
    xi_c: float
    """Layers in which the distance of q from q*, of c from c*, falls by a factor e. inf: by a power of the depth."""
    xi_grad: float
    """Layers in which the mean square of gradients falls by a factor e; negative where it grows."""


def fixed_points(phi: Activation, sigma_w: float, sigma_b: float = 0.0) -> list[FixedPoint]:
    """All lengths up to `LONGEST` that the length map keeps, shortest first; one neutral one where it keeps all.

    Signs of the relative change of q on a grid, refined; between them the places where it touches 0.
    """
    grid = np.linspace(math.log(SHORTEST), math.log(LONGEST), A_DECADE * round(math.log10(LONGEST / SHORTEST)) + 1)

    def change(log_q: float) -> float:
        return float(_change(phi, sigma_w, sigma_b, np.array([log_q]))[0])

    changes = _change(phi, sigma_w, sigma_b, grid)
    if abs(changes).max() < 1e-9:
        return [FixedPoint(math.nan, "neutral")]
    changing = abs(changes) > 1e-9  # else so short that phi is straight, or a fixed point itself
    grid, changes = grid[changing], changes[changing]
    crossing = [
        root(change, float(low), float(high))
        for (low, below), (high, above) in pairwise(zip(grid, changes, strict=True))
        if below * above < 0
    ]
    found = [FixedPoint(math.exp(x), "half-stable") for x in _touching(change, grid, changes)]
    while crossing:
        x = crossing.pop(0)
        if crossing and abs(change((x + crossing[0]) / 2)) < TANGENT:
            found.append(FixedPoint(math.exp((x + crossing.pop(0)) / 2), "half-stable"))
        else:
            found.append(FixedPoint(math.exp(x), "stable" if change(x + 1e-4) < change(x - 1e-4) else "unstable"))
    if sigma_b == 0 and float(phi.phi(torch.zeros(1, dtype=torch.float64))) == 0:
        found.append(FixedPoint(0.0, "stable" if changes[0] < 0 else "unstable"))
    return sorted(found)


def phase(phi: Activation, sigma_w: float, sigma_b: float = 0.0, q: float = 1.0) -> Phase:
    """The phase of a network whose first layer has preactivations of length q.

    Where there are several fixed points, q decides to which of them the lengths go.
    """
    q_star = _limit(fixed_points(phi, sigma_w, sigma_b), q, float(_change(phi, sigma_w, sigma_b, np.log([q]))[0]))
    at = torch.tensor([min(max(q_star, SHORTEST**2), LONGEST)], dtype=torch.float64)
    chi = float(chi_1(phi, sigma_w, at))
    xi_grad = _depth_scale(chi)
    if math.isinf(q_star):
        return Phase("diverges", q_star, chi, math.nan, math.nan, math.nan, xi_grad)
    xi_q = _depth_scale(float(length_slope(phi, sigma_w, at)))
    if chi <= 1 or math.isinf(xi_grad):
        return Phase("critical" if math.isinf(xi_grad) else "ordered", q_star, chi, 1.0, xi_q, xi_grad, xi_grad)
    c_star = _parted(phi, sigma_w, sigma_b, q_star)
    return Phase("chaotic", q_star, chi, c_star, xi_q, _depth_scale(chi_c(phi, sigma_w, q_star, c_star)), xi_grad)


def scales(run: Run) -> tuple[float, float]:
    """Where a run lies in the plane of phases: sigma_w and sigma_b of its hidden matrices, sigma_w^2 = fan_in Var W,
    whatever their law.

    Raises NoTheory where there are no phases: for other families than plain, with norms, without a matrix between
    hidden layers, where sigma_w differs from one to another, and where it depends on the data.
    """
    if run.model.family != "plain" or run.model.norm != "none":
        raise NoTheory("only the plain family without norm has phases")
    if INITIALIZERS[run.init.name].unit_variance:
        raise NoTheory(f"the law {run.init.name} takes its sigma_w from the data")
    hidden = [part for part in blueprints(run, 1, 1) if 1 < part.layer <= run.model.depth]
    gains = sorted(part.gains[0] for part in hidden)
    if not hidden or gains[-1] > gains[0] * (1 + 1e-9):
        raise NoTheory("one sigma_w for all hidden matrices is what a phase is of")
    return math.sqrt(gains[0]), math.sqrt(hidden[0].bias_variance)


def critical_line(phi: Activation, sigma_b: np.ndarray) -> np.ndarray:
    """The critical sigma_w at each sigma_b; NaN where there is none."""
    found = critical_sigma_ws(phi, sigma_b.tolist())
    return np.array([math.nan if one is None else one for one in found])


def _change(phi: Activation, sigma_w: float, sigma_b: float, log_q: np.ndarray) -> np.ndarray:
    """The relative change of lengths in one layer."""
    q_K = torch.from_numpy(np.exp(log_q))
    return (length_map(phi, sigma_w, sigma_b, q_K) / q_K - 1).numpy()


def _touching(change: Callable[[float], float], grid: np.ndarray, changes: np.ndarray) -> list[float]:
    """Where the change comes close to 0 between values of one sign."""
    found = []
    for k in range(1, len(grid) - 1):
        before, here, after = np.sign(changes[k]) * changes[k - 1 : k + 2]
        if here < min(before, after) - 1e-9 and 2 * here < max(before, after):  # else too far from 0 to reach it
            from scipy.optimize import minimize_scalar  # rarely needed, and slow to import

            lowest = minimize_scalar(lambda x: abs(change(x)), bounds=(grid[k - 1], grid[k + 1]))
            found += [float(lowest.x)] if lowest.fun < TANGENT else []
    return found


def _limit(points: list[FixedPoint], q: float, change: float) -> float:
    """Where lengths go from q: to the next fixed point in the direction in which the first layer changes them."""
    if change == 0 or (points and math.isnan(points[0].q)):
        return q
    if any(abs(one.q - q) <= 1e-9 * q for one in points):  # there the change is a rounding error
        return q
    ahead = [one.q for one in points if (one.q > q if change > 0 else one.q < q)]
    if not ahead:
        return math.inf if change > 0 else 0.0
    return min(ahead) if change > 0 else max(ahead)


def _parted(phi: Activation, sigma_w: float, sigma_b: float, q_star: float) -> float:
    """c* < 1 of the chaotic phase, where the correlation map crosses the diagonal; exactly 0 where it keeps 0."""
    if abs(correlation_map(phi, sigma_w, sigma_b, q_star, 0.0)) < 1e-12:
        return 0.0
    excess = lambda log_gap: gap_map(phi, sigma_w, sigma_b, q_star, math.exp(log_gap)) / math.exp(log_gap) - 1
    return 1 - math.exp(root(excess, math.log(1e-12), 0.0))


def _depth_scale(factor: float) -> float:
    """-1 / ln(factor); inf where it is critical, 0 for a factor of 0."""
    if factor <= 0:
        return 0.0
    return math.inf if abs(math.log(factor)) < CRITICAL else -1 / math.log(factor)
