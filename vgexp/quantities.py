"""Quantities: what is measured of a tensor, one number a member.

A quantity is a function `tensor -> (..., M)` over the last two axes, free of under- and overflow (see norms).

Legend: M members, B batch, N units, P and Q any; ... layers of one shape, stacked.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vgexp.layers import WeightGradient
from vgexp.norms import norm

SATURATED = 0.04
"""A unit is saturated on an example where |phi'| is below this fraction of its maximum."""
CANCELLED = 1e-2
"""A variance below this fraction of the mean square has lost two digits or more to the difference."""
TIERS = ("light", "full", "cost")


def rms(x_MPQ: Tensor) -> Tensor:
    """Root mean square."""
    return norm(x_MPQ) / (x_MPQ.shape[-2] * x_MPQ.shape[-1]) ** 0.5


def mean(x_MPQ: Tensor) -> Tensor:
    return x_MPQ.mean((-2, -1))


def std(x_MPQ: Tensor) -> Tensor:
    """Standard deviation about the member's mean."""
    return moments(x_MPQ)[1]


def moments(x_MPQ: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation.

    The latter as sqrt(rms^2 - mean^2), which needs no copy of the tensor; where that difference cancels (a saturated
    sigmoid has a mean a thousand times its deviation), with the mean subtracted first.
    """
    mean_M = mean(x_MPQ)
    square = rms(x_MPQ).double() ** 2
    variance = square - mean_M.double() ** 2
    if not x_MPQ.is_cuda and bool((variance > CANCELLED * square).all()):
        return mean_M, variance.sqrt()
    return mean_M, rms(x_MPQ - x_MPQ.mean((-2, -1), keepdim=True))


def percentile(p: float) -> Callable[[Tensor], Tensor]:
    """The p-th percentile of the signed values, the nearest one that occurs."""

    def quantity(x_MPQ: Tensor) -> Tensor:
        k = 1 + round(p / 100 * (x_MPQ.shape[-2] * x_MPQ.shape[-1] - 1))
        return x_MPQ.flatten(-2).kthvalue(k, dim=-1).values

    return quantity


def saturation(slope_MBN: Tensor) -> Tensor:
    """Fraction of entries with |phi'| below 4 % of its maximum; `slope` is phi' / max |phi'|."""
    return (slope_MBN.abs() < SATURATED).double().mean((-2, -1))


def dead(slope_MBN: Tensor) -> Tensor:
    """Fraction of units with phi' = 0 on every example."""
    return (slope_MBN == 0).all(-2).double().mean(-1)


def largest(x_MPQ: Tensor) -> Tensor:
    """The largest absolute value."""
    return torch.linalg.vector_norm(x_MPQ, ord=torch.inf, dim=(-2, -1))


def gradient_norm(gradient: WeightGradient) -> Tensor:
    return gradient.norm_M()


@dataclass(frozen=True)
class Quantity:
    """What is measured of one tensor: a column of the `layers` table, or (a norm) what makes one."""

    of: str
    """The tensor: `z`, `h`, `slope` (phi' over its maximum), `dz`, `w`, or `dw` (a WeightGradient)."""
    measure: Callable[..., Tensor]
    tiers: tuple[str, ...] = ("full",)


QUANTITIES: dict[str, Quantity] = {
    "z_rms": Quantity("z", rms, TIERS),
    "h_mean": Quantity("h", mean, TIERS),
    "h_std": Quantity("h", std, TIERS),
    "h_p02": Quantity("h", percentile(2)),
    "h_p98": Quantity("h", percentile(98)),
    "saturation": Quantity("slope", saturation),
    "dead": Quantity("slope", dead),
    "dz_rms": Quantity("dz", rms, TIERS),
    "dw_norm": Quantity("dw", gradient_norm, TIERS),
    "w_norm": Quantity("w", norm, TIERS),
    "w_max": Quantity("w", largest),
}


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
