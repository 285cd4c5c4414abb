"""Quantities: what is measured of a tensor, one number a member.

A quantity is a function `tensor -> (M,)` over everything but the member axis. None of them waits for the
device, and none of them under- or overflows: the float32 norm of a gradient is exactly 0 once its entries
fall below 1e-23, because the square underflows, although the gradient is alive. Hence float64 for whatever is
small, and for weights float32 with the exact value taken where that is not to be trusted (`SAFE`).

Legend: M members, B batch, N units, P and Q any.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vgexp.layers import WeightGradient

SATURATED = 0.04
"""A unit is saturated on an example where |phi'| is below this fraction of its maximum."""
SAFE = (1e-12, 1e12)
"""The range of a float32 rms outside which it is computed again in float64."""
TIERS = ("light", "full", "cost")


def rms(x_MPQ: Tensor) -> Tensor:
    """Root mean square, accumulated in float64."""
    return torch.linalg.vector_norm(x_MPQ, dim=(1, 2), dtype=torch.float64) / _size(x_MPQ) ** 0.5


def fast_rms(x_MPQ: Tensor) -> Tensor:
    """Root mean square in the tensor's own type: for weights, where a float64 copy would cost 17 times
    more."""
    return torch.linalg.vector_norm(x_MPQ, dim=(1, 2)).double() / _size(x_MPQ) ** 0.5


def mean(x_MPQ: Tensor) -> Tensor:
    return x_MPQ.mean((1, 2)).double()


def std(x_MPQ: Tensor) -> Tensor:
    """Standard deviation about the member's mean, subtracted first: sigmoids have a mean a thousand times
    it."""
    return rms(x_MPQ - x_MPQ.mean((1, 2), keepdim=True))


def percentile(p: float) -> Callable[[Tensor], Tensor]:
    """The p-th percentile of the signed values, the nearest one that occurs."""

    def quantity(x_MPQ: Tensor) -> Tensor:
        k = 1 + round(p / 100 * (_size(x_MPQ) - 1))
        return x_MPQ.flatten(1).kthvalue(k, dim=1).values.double()

    return quantity


def saturation(slope_MBN: Tensor) -> Tensor:
    """Fraction of entries with |phi'| below 4 % of its maximum; `slope` is phi' / max |phi'|."""
    return (slope_MBN.abs() < SATURATED).double().mean((1, 2))


def dead(slope_MBN: Tensor) -> Tensor:
    """Fraction of units with phi' = 0 on every example."""
    return (slope_MBN == 0).all(1).double().mean(1)


def largest(x_MPQ: Tensor) -> Tensor:
    """The largest absolute value."""
    return torch.linalg.vector_norm(x_MPQ, ord=torch.inf, dim=(1, 2)).double()


def gradient_rms(gradient: WeightGradient) -> Tensor:
    return gradient.rms_M


@dataclass(frozen=True)
class Quantity:
    """One column of the `layers` table."""

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
    "dw_rms": Quantity("dw", gradient_rms, TIERS),
    "w_rms": Quantity("w", fast_rms, TIERS),
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


def _size(x_MPQ: Tensor) -> int:
    return x_MPQ.shape[1] * x_MPQ.shape[2]
