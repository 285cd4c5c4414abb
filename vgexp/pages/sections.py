"""Sections: what the parts of a page show, as plain values, and how a number is written there."""

import math
from collections import Counter
from typing import Any

import pandas as pd

from vgexp.figures import signals
from vgexp.networks import FAMILIES
from vgexp.results import STATUSES, Estimate, Results, fits, statuses

VERDICTS = ("refuted", "not measured", "holds")
"""In the order in which a page shows claims."""
ORIGIN = ("git_sha", "git_dirty", "vgexp", "torch", "python", "device")


def claim_entries(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a claim with its parts, refuted ones first."""
    entries = []
    for _, parts in claims.groupby("claim", sort=False):
        first = parts.iloc[0]
        surprising = first["verdict"] in ("holds", "refuted") and first["verdict"] != first["expected_verdict"]
        entries.append(
            {key: first[key] for key in ("claim", "statement", "source", "verdict", "reason")}
            | {"parts": parts.to_dict("records"), "surprising": surprising}
        )
    return sorted(entries, key=lambda entry: VERDICTS.index(entry["verdict"]))


def fit_rows(results: Results) -> list[dict[str, Any]]:
    """One row a group of runs: how its gradient changes over the layers at initialisation."""
    if results.layers.empty:
        return []
    chains = [name for name, family in FAMILIES.items() if family.chain]
    rows = fits(results.runs, results.layers, signals(), chains).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def status_counts(results: Results) -> dict[str, int]:
    """How many runs are done, running, failed and missing, where there are any."""
    runs = zip(results.runs["run"], results.runs["status"], strict=True)
    found = statuses(results.planned, [{"run": run, "status": status} for run, status in runs])
    counts = Counter(each.status for each in found)
    return {name: counts[name] for name in STATUSES if name in counts}


def origins(results: Results) -> list[dict[str, Any]]:
    """The distinct versions, commits and devices that the runs were computed with."""
    rows = results.runs[list(ORIGIN)].drop_duplicates()
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def number(value: Any) -> str:
    """A number as a person reads it; empty for what is none.

    >>> number(0.12345), number(1234.5), number(float("inf")), number(float("nan"))
    ('0.123', '1234', '∞', '')
    """
    if not isinstance(value, (int, float)) or math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(value: Estimate) -> str:
    """An estimate with its interval; a dash where there is none."""
    return f"{value}" if not math.isnan(value.point) else "–"
