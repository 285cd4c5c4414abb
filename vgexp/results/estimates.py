"""Estimates: numbers with intervals."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95


class Estimate(NamedTuple):
    """A number with its 95 % interval; NaN bounds where there is none."""

    point: float
    low: float
    high: float
    seeds: int

    def map(self, function: Callable[[float], float]) -> "Estimate":
        """A monotone function of the estimate."""
        low, high = sorted((function(self.low), function(self.high)))
        return Estimate(function(self.point), low, high, self.seeds)

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        if math.isnan(self.low):
            return f"{self.point:{spec}}"
        return f"{self.point:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """Mean over seeds with Student's t interval; no interval from one seed.

    >>> f"{estimate([1.0, 2.0, 3.0]):.2f}"
    '2.00 [-0.48, 4.48]'
    """
    x = np.asarray(values, dtype=float)
    point = float(x.mean()) if len(x) else math.nan
    if len(x) < 2:
        return Estimate(point, math.nan, math.nan, len(x))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return Estimate(point, point - half, point + half, len(x))
