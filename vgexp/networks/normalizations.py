"""Normalisations: a signal less its mean, over its standard deviation.

    n = (x - mean x) / sqrt(var x + eps),   y = gain n + shift

Batch normalisation takes mean and variance over the examples of a batch, one of each a unit: Ioffe & Szegedy (2015).
Layer normalisation takes them over the units, one of each an example: Ba et al. (2016). RMSNorm leaves out the mean and
the shift: Zhang & Sennrich (2019).

Legend: M members, B batch, N units.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vgexp.config import own

EPS = 1e-5
"""Added to the variance, as torch has it."""


class Statistics(NamedTuple):
    """Mean and variance of every unit over a batch, (M, 1, N)."""

    mean_M1N: Tensor
    variance_M1N: Tensor


@dataclass(frozen=True)
class Normalization:
    """What is averaged over. To add one, write one entry of NORMS."""

    over: int
    """The dimension that mean and variance are taken over: 1, the examples, or 2, the units."""
    centered: bool = True
    """Whether the mean is taken off, and a shift is trained."""
    reads: frozenset[str] = frozenset({"model.norm_at"})
    """The fields of the config that matter where there is one."""
    version: int = 1
    """Raised when the function changes: its runs are then other runs."""

    @property
    def over_examples(self) -> bool:
        return self.over == 1

    def forward(self, x_MBN: Tensor, statistics: Statistics | None) -> tuple[Tensor, Tensor, Statistics | None]:
        """n, 1 / sqrt(var + eps), and the statistics of the batch where they were taken over it and not given."""
        if statistics is not None:
            inverse = (statistics.variance_M1N + EPS).rsqrt()
            return (x_MBN - statistics.mean_M1N).mul_(inverse), inverse, None
        mean = x_MBN.mean(self.over, keepdim=True) if self.centered else None
        n_MBN = x_MBN.clone() if mean is None else x_MBN - mean
        variance = n_MBN.square().mean(self.over, keepdim=True)
        inverse = (variance + EPS).rsqrt()
        taken = Statistics(mean, variance) if self.over_examples and mean is not None else None
        return n_MBN.mul_(inverse), inverse, taken

    def backward(
        self, dy_MBN: Tensor, n_MBN: Tensor, inverse: Tensor, weight_M1N: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The gradient through mean and variance, and the sums over the examples of dy n and of dy, (M, 1, N).

            dx = (dn - mean dn - n mean(dn n)) / sqrt(var + eps),   dn = gain dy

        At these sizes time goes into memory: what is formed anew is one tensor, and used twice.
        """
        dx_MBN = dy_MBN * n_MBN
        along_M1N, sum_M1N = dx_MBN.sum(1, keepdim=True), dy_MBN.sum(1, keepdim=True)
        if self.over_examples:
            mean_along = along_M1N * weight_M1N / dy_MBN.shape[1]
        else:
            mean_along = dx_MBN.mul_(weight_M1N).mean(2, keepdim=True)
        torch.mul(dy_MBN, weight_M1N, out=dx_MBN)
        mean = dx_MBN.mean(self.over, keepdim=True) if self.centered else None
        dx_MBN.addcmul_(n_MBN, mean_along, value=-1)
        if mean is not None:
            dx_MBN -= mean
        return dx_MBN.mul_(inverse), along_M1N, sum_M1N


NORMS: dict[str, Normalization | None] = {
    "none": None,
    "batch": Normalization(over=1),
    "layer": Normalization(over=2),
    "rms": Normalization(over=2, centered=False),
}
own(NORMS)
