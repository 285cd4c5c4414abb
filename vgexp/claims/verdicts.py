"""Verdicts: what the measurements say of a claim, by a rule that leaves nothing to argue about.

The interval of a part over seeds decides whether it is in its range (see `compare`). A claim `holds` when all its parts
are in their ranges, is `refuted` when one is out, and else is `not measured`, with the reason. A refuted claim is a
finding: no range is widened to mend it.
"""

import contextlib
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from vgexp.claims.statements import Claim, Criterion, Missing
from vgexp.config import counted
from vgexp.results import Estimate, Results, exact

# fmt: off
COLUMNS = [
    "claim", "part", "statement", "source", "quantity", "expected", "reference", "low", "high", "measured",
    "measured_low", "measured_high", "exact", "seeds", "verdict", "expected_verdict", "reason", "scale", "seconds",
]
# fmt: on
SCALES = ("smoke", "small", "long", "paper")


def evaluate(
    claims: Sequence[Claim], results: Results, scale: str, command: Callable[[Sequence[str]], str] = lambda grids: ""
) -> pd.DataFrame:
    """One row a criterion, the columns of claims.csv; every row of a claim has the claim's verdict.

    `command`: what to type to run grids that are not part of the results, where that is known. Raises ValueError for a
    quantity that is not one value a seed.
    """
    rows = []
    for claim in claims:
        measured = [_measured(claim, criterion, results, scale, command) for criterion in claim.criteria]
        verdict, reason = _verdict(claim, measured)
        said = claim.explanation if verdict == "refuted" else ""
        if claim.remark is not None and not any(why for _, why, _ in measured):
            with contextlib.suppress(Missing):  # of runs that the claim itself does without
                said = claim.remark(claim.criteria, results) or said
        tested = [_tested(test, results) for test in claim.tests if verdict == "refuted"]
        reason = ": ".join(text for text in (reason, "; ".join(text for text in (said, *tested) if text)) if text)
        for number, (criterion, (found, why, seconds)) in enumerate(zip(claim.criteria, measured, strict=True), 1):
            rows.append(
                {
                    "claim": claim.name,
                    "part": number,
                    "statement": claim.statement,
                    "source": claim.source,
                    "quantity": criterion.quantity,
                    "expected": math.nan if criterion.expected is None else criterion.expected,
                    "reference": math.nan if criterion.reference is None else criterion.reference,
                    "low": criterion.low,
                    "high": criterion.high,
                    "measured": found.point,
                    "measured_low": found.low,
                    "measured_high": found.high,
                    "exact": criterion.by is exact,
                    "seeds": found.seeds,
                    "verdict": verdict,
                    "expected_verdict": claim.expected_verdict,
                    "reason": why or reason,
                    "scale": scale,
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def judged(claims: Sequence[Claim], results: Results, scale: str) -> str:
    """Claims and what the measurements say of each, in words: what a caption says beside what it shows.

    One sentence a claim: `Claim X-01, "What a paper says.", is refuted here (the reason).` Raises as `evaluate` does.
    """
    told = evaluate(claims, results, scale).drop_duplicates("claim")
    said = []
    for _, row in told.iterrows():
        verdict = {"holds": "holds", "refuted": "is refuted"}.get(row["verdict"], f"is {row['verdict']}")
        reason = f" ({row['reason']})" if row["reason"] else ""
        said.append(f'Claim {row["claim"]}, "{row["statement"]}", {verdict} here{reason}.')
    return " ".join(said)


def compare(found: Estimate, low: float, high: float) -> str:
    """`in` the range low to high, `out` of it, or `undecided`.

    It is out when the whole interval is outside. It is in when the whole interval is inside, or when the point is and
    the interval is no wider than the range. A one-sided range (an end is infinite) has no width to compare with: there
    the whole interval must be inside. Where there is no interval, as from one seed, nothing is decided.

    >>> inside, at_the_edge, wide = (Estimate(1.0, low, 2.0 - low, 5) for low in (0.9, 0.7, 0.0))
    >>> [compare(found, 0.5, 1.2) for found in (inside, at_the_edge, wide)]
    ['in', 'in', 'undecided']
    """
    if math.isnan(found.low):
        return "undecided"
    if found.high < low or found.low > high:
        return "out"
    inside = low <= found.low and found.high <= high
    precise = low <= found.point <= high and found.high - found.low <= high - low < math.inf
    return "in" if inside or precise else "undecided"


def _measured(
    claim: Claim, criterion: Criterion, results: Results, scale: str, command: Callable[[Sequence[str]], str]
) -> tuple[Estimate, str, float]:
    """The estimate, why there is none, and the seconds of the runs that were read."""
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    if claim.reason:
        return nothing, claim.reason, 0.0
    for grid in claim.grids:
        if grid in results.left_out:
            return nothing, results.left_out[grid], 0.0
    if scale in SCALES and SCALES.index(scale) < SCALES.index(claim.scale):
        return nothing, f"needs scale {claim.scale}", 0.0
    missing = [grid for grid in claim.grids if grid not in results.grids]
    if missing and (typed := command(missing)):
        return nothing, f"not run here: {typed}", 0.0
    try:
        values = np.asarray(criterion.measure(results), dtype=float)
    except Missing as error:
        return nothing, str(error), 0.0
    if values.ndim != 1:
        raise ValueError(f"{claim.name}, {criterion.quantity}: one value a seed is needed, got {values.shape}")
    found = criterion.by(values)
    if math.isnan(found.point):
        return nothing, "a value is not finite" if not np.isfinite(values).all() else "a value is not above 0", 0.0
    ids = {run for grid in claim.grids for run in results.grids.get(grid, [])}
    seconds = results.runs.loc[results.runs["run"].isin(ids), "seconds"].sum()
    return found, "", float(seconds)


def _tested(test: Criterion, results: Results) -> str:
    """What came of a test of an explanation, in words."""
    try:
        found = test.by(np.asarray(test.measure(results), dtype=float))
    except Missing:
        return f"{test.quantity}: not measured"
    outcome = {"in": "as explained", "out": "not as explained"}.get(compare(found, test.low, test.high), "undecided")
    return f"{test.quantity} {found:.3g}, {counted(found.seeds, 'seed')}: {outcome}"


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
        found = measured[part][0]
        too_few = f", too few seeds ({found.seeds})" if math.isnan(found.low) else ""
        return "not measured", f"undecided: part {part + 1}{too_few}"
    return "holds", ""
