"""Verdicts: what the measurements say of a claim, by a rule that leaves nothing to argue about.

A claim `holds` when the estimate of every criterion lies in its range, is `refuted` when a whole interval lies outside,
and else is `not measured`, with the reason. A refuted claim is a finding: no range is widened to mend it.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from vgexp.claims.statements import Claim, Criterion, Missing
from vgexp.results import Estimate, Results, estimate

# fmt: off
COLUMNS = [
    "claim", "part", "statement", "source", "quantity", "expected", "low", "high", "measured", "measured_low",
    "measured_high", "seeds", "verdict", "expected_verdict", "reason", "scale", "seconds",
]
# fmt: on
SCALES = ("smoke", "small", "paper")


def evaluate(claims: Sequence[Claim], results: Results, scale: str) -> pd.DataFrame:
    """One row a criterion, the columns of claims.csv; every row of a claim has the claim's verdict."""
    rows = []
    for claim in claims:
        measured = [_measured(claim, criterion, results, scale) for criterion in claim.criteria]
        verdict, reason = _verdict(claim, measured)
        if verdict == "refuted" and claim.explanation:
            reason = f"{reason}: {claim.explanation}"
        for number, (criterion, (found, why, seconds)) in enumerate(zip(claim.criteria, measured, strict=True), 1):
            rows.append(
                {
                    "claim": claim.name,
                    "part": number,
                    "statement": claim.statement,
                    "source": claim.source,
                    "quantity": criterion.quantity,
                    "expected": math.nan if criterion.expected is None else criterion.expected,
                    "low": criterion.low,
                    "high": criterion.high,
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


def compare(found: Estimate, low: float, high: float) -> str:
    """`in` the range, `out` of it with the whole interval, or `undecided`.

    >>> compare(Estimate(1.0, 0.9, 1.1, 5), 0.5, 1.05), compare(Estimate(2.0, 1.0, 3.0, 5), 0.5, 1.5)
    ('in', 'undecided')
    """
    if low <= found.point <= high:
        return "in"
    return "out" if found.high < low or found.low > high else "undecided"


def _measured(claim: Claim, criterion: Criterion, results: Results, scale: str) -> tuple[Estimate, str, float]:
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
        values = np.asarray(criterion.measure(results), dtype=float)
    except Missing as error:
        return nothing, str(error), 0.0
    if values.ndim != 1:
        raise ValueError(f"{claim.name}, {criterion.quantity}: one value a seed is needed, got {values.shape}")
    if not np.isfinite(values).all():
        return nothing, "a value is not finite", 0.0
    ids = {run for grid in claim.grids for run in results.grids.get(grid, [])}
    seconds = results.runs.loc[results.runs["run"].isin(ids), "seconds"].sum()
    return estimate(values), "", float(seconds)


def _verdict(claim: Claim, measured: Sequence[tuple[Estimate, str, float]]) -> tuple[str, str]:
    compared = [
        "" if why else compare(found, criterion.low, criterion.high)
        for criterion, (found, why, _) in zip(claim.criteria, measured, strict=True)
    ]
    if "out" in compared:
        return "refuted", f"part {compared.index('out') + 1} lies outside"
    if "" in compared:
        return "not measured", measured[compared.index("")][1]
    if "undecided" in compared:
        part = compared.index("undecided")
        return "not measured", f"undecided: part {part + 1}" + ", 1 seed" * (measured[part][0].seeds == 1)
    return "holds", ""
