"""Statements: what a paper says, as numbers that can be measured and the range each must lie in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vgexp.results import Estimator, Results, estimate

if TYPE_CHECKING:
    import xarray as xr  # slow to import

Remark = Callable[[Sequence["Criterion"], Results], str]
"""Of a claim's criteria and what was measured, what is to be said beside the verdict; empty for nothing."""
Measure = Callable[[Results], "xr.DataArray | np.ndarray"]
"""One value a seed. Raises Missing when the results do not hold what it needs."""


class Missing(LookupError):
    """Why a quantity could not be measured."""


@dataclass(frozen=True)
class Criterion:
    """A quantity, the range it must lie in, and how it is measured: a `part` of its claim in claims.csv."""

    quantity: str
    low: float
    high: float
    measure: Measure
    expected: float | None = None
    """The number of the paper (or of the theory it states), where there is one."""
    reference: float | None = None
    """Our own number from elsewhere: another program, a formula of ours."""
    by: Estimator = estimate
    """How the values of the seeds become one: their mean, their `geometric_mean` (ratios and other positive numbers),
    their `median` (what may never be reached), or as they are (`exact`: counts and formulas)."""


@dataclass(frozen=True)
class Claim:
    """A statement of a paper, which holds when all its criteria do."""

    name: str
    statement: str
    source: str
    criteria: tuple[Criterion, ...]
    grids: tuple[str, ...] = ()
    """The grids it reads, for the time they took."""
    scale: str = "smoke"
    """The smallest scale at which it can show."""
    expected_verdict: str = "holds"
    reason: str = ""
    """Why it is not measured, for a claim that no run of ours can decide."""
    explanation: str = ""
    """Our best explanation, where it turned out refuted."""
    tests: tuple[Criterion, ...] = ()
    """What tests the explanation: quantities where one thing is otherwise, which their names say, in the ranges that it
    expects. The verdict does not depend on them."""
    remark: Remark | None = None
    """What is said of the measurements whatever the verdict, in place of the explanation."""
