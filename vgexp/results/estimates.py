"""Estimates: what the numbers of some seeds say of all seeds, with an interval.

Four ways, by the kind of number: `estimate`, the mean; `geometric_mean` of ratios and other positive numbers;
`median` of numbers that may be infinite; `exact` for numbers without chance.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
FEWEST_OF_A_MEDIAN = 5
"""Seeds: the smallest and the largest of five enclose the median of all with probability 1 - 2 / 2^5 = 0.94, of four
with 0.88."""


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


Estimator = Callable[[Sequence[float] | np.ndarray], Estimate]
"""One number a seed to their estimate. Its point is NaN where a number is none that it takes."""


def estimate(values: Sequence[float] | np.ndarray) -> Estimate:
    """The mean over seeds with Student's t interval, mean ± t s / √n; no interval from one seed.

    >>> f"{estimate([1.0, 2.0, 3.0]):.2f}"
    '2.00 [-0.48, 4.48]'
    """
    x = np.asarray(values, dtype=float)
    n = len(x)
    if not n or not np.isfinite(x).all():
        return Estimate(math.nan, math.nan, math.nan, n)
    point = float(x.mean())
    half = float(stdtrit(n - 1, 0.5 + LEVEL / 2) * x.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Estimate(point, point - half, point + half, n)


def geometric_mean(values: Sequence[float] | np.ndarray) -> Estimate:
    """The geometric mean over seeds, exp of the `estimate` of ln x: for ratios and other positive numbers, which spread
    by factors.

    >>> f"{geometric_mean([1.0, 10.0, 100.0]):.0f}"
    '10 [0, 3049]'
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return estimate(np.log(np.asarray(values, dtype=float))).map(lambda log: float(np.exp(log)))


def median(values: Sequence[float] | np.ndarray) -> Estimate:
    """The median over seeds between the smallest and the largest, of at least five: for what may never be reached, inf.

    >>> f"{median([3.0, 1.0, 2.0, math.inf, math.inf])}"
    '3 [1, inf]'
    """
    x = np.asarray(values, dtype=float)
    if not len(x) or np.isnan(x).any():
        return Estimate(math.nan, math.nan, math.nan, len(x))
    low, high = (float(x.min()), float(x.max())) if len(x) >= FEWEST_OF_A_MEDIAN else (math.nan, math.nan)
    return Estimate(float(np.median(x)), low, high, len(x))


def exact(values: Sequence[float] | np.ndarray) -> Estimate:
    """A count or a formula, which is the same for all seeds: one is enough. Where the tables differ, between the
    smallest and the largest.

    >>> exact([3.0, 3.0])
    Estimate(point=3.0, low=3.0, high=3.0, seeds=2)
    """
    x = np.asarray(values, dtype=float)
    if not len(x) or not np.isfinite(x).all():
        return Estimate(math.nan, math.nan, math.nan, len(x))
    return Estimate(float(np.median(x)), float(x.min()), float(x.max()), len(x))
