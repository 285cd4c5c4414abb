"""Quantities: what is measured of a tensor, one number a member.

A quantity reduces the tensors of several layers at once, each over its last two axes, free of under- and overflow (see
norms).

Legend: K layers, M members, B batch, N units, P and Q any.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgexp.layers import WeightGradient
from vgexp.norms import SAFE, Numbers, norms, square

Signals = Sequence[Tensor]
"""Tensors (M, P, Q), one a layer."""
SATURATED = 0.04
"""A unit is saturated on an example where |phi'| is below this fraction of its maximum."""
CANCELLED = 1e-2
"""A variance below this fraction of the mean square has lost two digits or more to the difference."""
TIERS = ("light", "full", "cost")


def rms(layers: Signals) -> Numbers:
    """Root mean square."""
    norms_KM = norms(layers)
    roots = [(x_MPQ.numel() / len(x_MPQ)) ** 0.5 for x_MPQ in layers]
    if isinstance(norms_KM, Tensor):
        return norms_KM / norms_KM.new_tensor(roots)[:, None]
    return norms_KM / np.array(roots)[:, None]


def moments(layers: Signals) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation.

    On a host the latter as sqrt(rms^2 - mean^2), which needs no copy of the tensor; where that difference cancels (a
    saturated sigmoid has a mean a thousand times its deviation), and on a device, with the mean subtracted first.
    """
    if not layers[0].is_cpu:
        mean_KM = torch.stack([x_MPQ.mean((-2, -1)).double() for x_MPQ in layers])
        return mean_KM, rms([_centred(x_MPQ) for x_MPQ in layers])
    arrays = [x_MPQ.detach().numpy() for x_MPQ in layers]
    entries_K1 = np.array([[x_MPQ[0].size] for x_MPQ in arrays])
    with np.errstate(over="ignore", invalid="ignore"):
        mean_KM = np.array([np.add.reduce(x_MPQ.reshape(len(x_MPQ), -1), axis=-1) for x_MPQ in arrays]) / entries_K1
        square_KM = np.array([square(x_MPQ) for x_MPQ in arrays], dtype=np.float64) / entries_K1
        variance_KM = square_KM - mean_KM**2
        std_KM = np.sqrt(np.maximum(variance_KM, 0))
        exact_KM = (variance_KM > CANCELLED * square_KM) & (square_KM > SAFE[0]) & (square_KM < SAFE[1])
    for k in np.flatnonzero(~exact_KM.all(1)).tolist():
        std_KM[k] = np.asarray(rms([_centred(layers[k])]))[0]
    return mean_KM, std_KM


def _centred(x_MPQ: Tensor) -> Tensor:
    return x_MPQ - x_MPQ.mean((-2, -1), keepdim=True)


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


def gradient_norms(gradients: Sequence[WeightGradient]) -> Numbers:
    """||dW|| of each layer."""
    if any(gradient.thin for gradient in gradients):
        return torch.stack([gradient.norm_M() for gradient in gradients])
    return norms([gradient.sum_MIO for gradient in gradients]) / gradients[0].batch_size


@dataclass(frozen=True)
class Quantity:
    """What is measured of one tensor: columns of the `layers` table, or (norms) what makes one."""

    of: str
    """The tensor: `z`, `h`, `slope` (phi' over its maximum), `dz`, `w`, or `dw` (a WeightGradient)."""
    columns: tuple[str, ...]
    measure: Callable[[Any], tuple[Numbers, ...]]
    """From that tensor of K layers one (K, M) a column."""
    tiers: tuple[str, ...] = ("full",)


def _together(of: str, column: str, measure: Callable[[Any], Numbers], tiers: tuple[str, ...]) -> Quantity:
    return Quantity(of, (column,), lambda layers: (measure(layers),), tiers)


def _each(of: str, column: str, measure: Callable[[Tensor], Tensor]) -> Quantity:
    return Quantity(of, (column,), lambda layers: (torch.stack([measure(x).double() for x in layers]),))


QUANTITIES = (
    _together("z", "z_rms", rms, TIERS),
    Quantity("h", ("h_mean", "h_std"), moments, TIERS),
    _each("h", "h_p02", percentile(2)),
    _each("h", "h_p98", percentile(98)),
    _each("slope", "saturation", saturation),
    _each("slope", "dead", dead),
    _together("dz", "dz_rms", rms, TIERS),
    _together("dw", "dw_norm", gradient_norms, TIERS),
    _together("w", "w_norm", norms, TIERS),
    _each("w", "w_max", largest),
)


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
