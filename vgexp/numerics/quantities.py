"""Quantities: what is measured of a tensor, one number a member.

Every tier records sums: of squares, and of deviations from a mean. They neither underflow nor overflow (see norms) and
are taken as soon as the tensor is made, while it is in the processor's cache. Probes make means of the sums, for all
layers at once.

Legend: M members, B batch, N units, P and Q any.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vgexp.config import own
from vgexp.numerics.norms import SAFE_FROM, SAFE_TO, WITHOUT_FLOAT64, Numbers, square

SATURATED = 0.04
"""A unit is saturated on an example where |phi'| is below this fraction of its maximum."""
CANCELLED = 1e-2
"""A variance that is a smaller fraction of the mean square has lost two digits or more, taken as a difference."""


def moments(x_MPQ: Tensor) -> tuple[Numbers, Numbers]:
    """Sum, and sum of squared deviations from the mean, over the last two axes, (M,) each.

    On a host the latter is a difference, sum x^2 - (sum x)^2 / PQ, which needs no copy of the tensor. Where the
    difference cancels (a saturated sigmoid has a mean a thousand times its deviation), and on a device, the mean is
    subtracted first.
    """
    if x_MPQ.requires_grad:
        x_MPQ = x_MPQ.detach()
    if not x_MPQ.is_cpu and x_MPQ.device.type in WITHOUT_FLOAT64:
        x_MPQ = x_MPQ.cpu()
    if not x_MPQ.is_cpu:
        return x_MPQ.sum((-2, -1), dtype=torch.float64), square(_centered(x_MPQ))
    totals, squares = x_MPQ.sum((-2, -1)).tolist(), square(x_MPQ)
    assert isinstance(squares, list)
    entries = x_MPQ.numel() / len(totals) or math.nan  # an empty batch has no mean
    for m, whole in enumerate(squares):
        deviation = whole - totals[m] * totals[m] / entries
        if not (SAFE_FROM < deviation < SAFE_TO and deviation > CANCELLED * whole):
            return totals, square(_centered(x_MPQ))
        squares[m] = deviation
    return totals, squares


def _centered(x_MPQ: Tensor) -> Tensor:
    return x_MPQ - x_MPQ.mean((-2, -1), keepdim=True)


def percentile(p: float) -> Callable[[Tensor], Tensor]:
    """The quantity that is the p-th percentile of the signed values, the nearest one that occurs."""

    def quantity(x_MPQ: Tensor) -> Tensor:
        k = 1 + round(p / 100 * (x_MPQ.shape[-2] * x_MPQ.shape[-1] - 1))
        return x_MPQ.flatten(-2).kthvalue(k, dim=-1).values

    return quantity


def fraction(true_MPQ: Tensor | np.ndarray) -> Numbers:
    """Fraction of entries that are true over the last two axes, (M,); NaN where there are none."""
    if isinstance(true_MPQ, Tensor):
        if not true_MPQ.is_cpu and true_MPQ.device.type not in WITHOUT_FLOAT64:
            return true_MPQ.double().mean((-2, -1))
        true_MPQ = true_MPQ.cpu().numpy()
    entries = true_MPQ.shape[-2] * true_MPQ.shape[-1] or math.nan
    return [np.count_nonzero(true_PQ) / entries for true_PQ in true_MPQ]


def saturation(slope_MBN: Tensor) -> Numbers:
    """Fraction of entries with |phi'| below 4 % of its maximum, (M,); `slope` is phi' / max |phi'|."""
    return fraction(slope_MBN.abs() < SATURATED)


def dead(slope_MBN: Tensor) -> Numbers:
    """Fraction of units with phi' = 0 on every example, (M,)."""
    return fraction((slope_MBN == 0).all(-2, keepdim=True))


def largest(x_MPQ: Tensor) -> Tensor:
    """The largest absolute value of each member, (M,)."""
    return torch.linalg.vector_norm(x_MPQ, ord=torch.inf, dim=(-2, -1))


TENSORS = ("h", "slope", "w")
"""What a quantity may be of."""


@dataclass(frozen=True)
class Quantity:
    """What the full tier measures of a tensor besides the sums."""

    of: str
    """The tensor: `h`, `slope` (phi' over its maximum) or `w`."""
    measure: Callable[[Tensor], Tensor | Numbers]
    """From the tensor, (M, P, Q), to one number a member, (M,)."""
    version: int = 1
    """Raised when the measure changes: runs of the full tier are then other runs."""


QUANTITIES: dict[str, Quantity] = {
    "h_p02": Quantity("h", percentile(2)),
    "h_p98": Quantity("h", percentile(98)),
    "saturation": Quantity("slope", saturation),
    "dead": Quantity("slope", dead),
    "w_max": Quantity("w", largest),
}
"""By column of the `layers` table."""
own(QUANTITIES)


def histogram(x_MPQ: Tensor, bins: int = 100) -> tuple[Tensor, Tensor]:
    """Edges (M, bins + 1) and density (M, bins) between the smallest and the largest value of each member.

    The density integrates to 1. A member with values that are not finite, or all equal, gets NaN densities.
    """
    x_MX = x_MPQ.flatten(1).double()
    low_M1, high_M1 = x_MX.amin(1, keepdim=True), x_MX.amax(1, keepdim=True)
    members = x_MX.shape[0]
    width_M1 = (high_M1 - low_M1) / bins
    bin_MX = ((x_MX - low_M1) / width_M1).nan_to_num(0, 0, 0).long().clamp_(0, bins - 1)
    bin_MX += bins * torch.arange(members, device=x_MX.device)[:, None]
    counts = torch.bincount(bin_MX.flatten(), minlength=members * bins).view(members, bins)
    defined_M1 = torch.isfinite(width_M1) & (width_M1 > 0)
    density_MK = torch.where(defined_M1, counts / (x_MX.shape[1] * width_M1), torch.nan)
    edges_MK = low_M1 + width_M1 * torch.arange(bins + 1, device=x_MX.device)
    return edges_MK, density_MK


def singular_values(x_MPQ: Tensor) -> Tensor:
    """Singular values of each member's matrix, the largest first, (M, min(P, Q)); NaN where an entry is not finite."""
    finite_M11 = x_MPQ.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    values_MR = torch.linalg.svdvals(torch.where(finite_M11, x_MPQ, 0))  # it raises where an entry is not finite
    return torch.where(finite_M11[..., 0], values_MR, torch.nan)
