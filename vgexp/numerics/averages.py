"""Averages of an activation over a normal variable, which recursions over the layers are made of.

Legend: K variances.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from vgexp.numerics.criticality import Curve, mean_square, mean_square_slope
from vgexp.numerics.gaussian import gaussian_mean

Average = Callable[[Tensor], Tensor]
SHORTEST, LONGEST, A_DECADE = 1e-12, 1e9, 200
"""Variances that are tabulated, and how many of them. Beyond, averages go on as powers of the variance, to 1e-300 and
1e300."""


class Averages(NamedTuple):
    """Of phi(sqrt(q) u), u ~ N(0, 1), as functions of the variances q, (K,) to (K,)."""

    mean: Average
    """E[phi]."""
    square: Average
    """E[phi^2]."""
    square_slope: Average
    """E[phi'^2]."""


def averages(curve: Curve) -> Averages:
    """By quadrature, to some twelve digits."""
    return Averages(
        lambda q_K: gaussian_mean(curve.phi, q_K, curve.kinks),
        lambda q_K: mean_square(curve, q_K),
        lambda q_K: mean_square_slope(curve, q_K),
    )


@lru_cache(maxsize=16)
def tabulated(curve: Curve) -> Averages:
    """The same from a table, to some five digits (the mean to a hundred-thousandth of the rms): six times as quick over
    thousands of layers.

    Logarithms of squares are interpolated linearly over that of the variance, so that powers are exact.
    """
    first, last = math.log(SHORTEST), math.log(LONGEST)
    log_q = torch.linspace(first, last, A_DECADE * round(math.log10(LONGEST / SHORTEST)) + 1, dtype=torch.float64)
    a_step = (len(log_q) - 1) / (last - first)
    mean, square, square_slope = (f(log_q.exp()) for f in averages(curve))
    share, log_square, log_slope = (mean / square.sqrt()).nan_to_num(), square.log(), square_slope.log()

    def at(column: Tensor, q_K: Tensor) -> Tensor:
        place = (q_K.clamp(1e-300, 1e300).log() - first) * a_step
        below = place.nan_to_num().clamp(0, len(log_q) - 2).long()
        return torch.lerp(column[below], column[below + 1], place - below)

    return Averages(
        lambda q_K: at(share, q_K) * at(log_square, q_K).mul_(0.5).exp_(),
        lambda q_K: at(log_square, q_K).exp_(),
        lambda q_K: at(log_slope, q_K).exp_(),
    )
