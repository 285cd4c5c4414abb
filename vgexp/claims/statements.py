"""Claims: a paper's statements as numbers to be measured, each with a verdict that nobody can argue into
another.

A claim has parts; each part is a quantity, the range it must lie in, and a function that measures it, one
value a seed. The claim `holds` when every part's point lies in its range, is `refuted` when an interval lies
wholly outside, and else `not measured`, with the reason. A refuted claim is a finding; no range is widened to
mend it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vgexp.results import Estimate, Results, estimate

# fmt: off
COLUMNS = [
    "claim", "part", "statement", "source", "quantity", "expected", "low", "high", "measured", "measured_low",
    "measured_high", "seeds", "verdict", "expected_verdict", "reason", "scale", "seconds",
]
# fmt: on
SCALES = ("smoke", "small", "paper")

Measure = Callable[[Results], Sequence[float] | np.ndarray]
"""One value a seed. Raises Missing when the results do not hold what it needs."""


class Missing(LookupError):
    """Why a part could not be measured."""


@dataclass(frozen=True)
class Part:
    quantity: str
    low: float
    high: float
    measure: Measure
    expected: float | None = None
    """The number of the paper (or of the theory it states), where there is one."""


@dataclass(frozen=True)
class Claim:
    name: str
    statement: str
    source: str
    parts: tuple[Part, ...]
    grids: tuple[str, ...] = ()
    """The grids it reads, for the time they took."""
    scale: str = "smoke"
    """The smallest scale at which it can show."""
    expected_verdict: str = "holds"
    reason: str = ""
    """Why it is not measured, for a claim that no run of ours can decide."""
    explanation: str = ""
    """Our best explanation, where it turned out refuted."""


def evaluate(claims: Sequence[Claim], results: Results, scale: str) -> pd.DataFrame:
    """One row a part, the columns of claims.csv; every row of a claim has the claim's verdict."""
    rows = []
    for claim in claims:
        measured = [_measured(claim, part, results, scale) for part in claim.parts]
        verdict, reason = _verdict(claim, measured)
        if verdict == "refuted" and claim.explanation:
            reason = f"{reason}: {claim.explanation}"
        for number, (part, (found, why, seconds)) in enumerate(zip(claim.parts, measured, strict=True), 1):
            rows.append(
                {
                    "claim": claim.name,
                    "part": number,
                    "statement": claim.statement,
                    "source": claim.source,
                    "quantity": part.quantity,
                    "expected": math.nan if part.expected is None else part.expected,
                    "low": part.low,
                    "high": part.high,
                    "measured": found.point,
                    "measured_low": found.low,
                    "measured_high": found.high,
                    "seeds": found.seeds,
                    "verdict": verdict,
                    "expected_verdict": claim.expected_verdict,
                    "reason": why or reason,
                    "scale": scale,
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def judge(found: Estimate, low: float, high: float) -> str:
    """`in` the range, `out` of it with the whole interval, or `undecided`.

    >>> judge(Estimate(1.0, 0.9, 1.1, 5), 0.5, 1.05), judge(Estimate(2.0, 1.0, 3.0, 5), 0.5, 1.5)
    ('in', 'undecided')
    """
    if low <= found.point <= high:
        return "in"
    return "out" if found.high < low or found.low > high else "undecided"


def _measured(claim: Claim, part: Part, results: Results, scale: str) -> tuple[Estimate, str, float]:
    """The estimate, why there is none, and the seconds of the runs that were read."""
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    if claim.reason:
        return nothing, claim.reason, 0.0
    for grid in claim.grids:
        if grid in results.left_out:
            return nothing, results.left_out[grid], 0.0
    if SCALES.index(scale) < SCALES.index(claim.scale):
        return nothing, f"needs scale {claim.scale}", 0.0
    try:
        values = np.asarray(part.measure(results), dtype=float)
    except Missing as error:
        return nothing, str(error), 0.0
    if not np.isfinite(values).all():
        return nothing, "a value is not finite", 0.0
    ids = {run for grid in claim.grids for run in results.grids.get(grid, [])}
    seconds = results.runs.loc[results.runs["run"].isin(ids), "seconds"].sum()
    return estimate(values), "", float(seconds)


def _verdict(claim: Claim, measured: Sequence[tuple[Estimate, str, float]]) -> tuple[str, str]:
    judged = [
        "" if why else judge(found, part.low, part.high)
        for part, (found, why, _) in zip(claim.parts, measured, strict=True)
    ]
    if "out" in judged:
        return "refuted", f"part {judged.index('out') + 1} lies outside"
    if "" in judged:
        return "not measured", measured[judged.index("")][1]
    if "undecided" in judged:
        part = judged.index("undecided")
        return "not measured", f"undecided: part {part + 1}" + ", 1 seed" * (measured[part][0].seeds == 1)
    return "holds", ""
