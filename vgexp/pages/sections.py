"""Sections: what the parts of a page show, as plain values, and how a number is written there."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from vgexp.config import counted
from vgexp.figures import signals
from vgexp.networks import FAMILIES
from vgexp.results import STATUSES, Estimate, Results, fits, statuses
from vgexp.results.grouping import conditions

ORIGIN = ("git_sha", "git_dirty", "vgexp", "torch", "python", "device")


SAID = {
    "model.family": "{}",
    "model.activation": "{}",
    "model.depth": "{} layers",
    "model.width": "{} wide",
    "data.name": "on {}",
    "steps": "{} steps",
}
"""How a field is said that is the same in all runs."""
LISTED = 6
"""Choices of a field that a sentence lists; of more it says the ends."""


def asked(results: Results) -> str:
    """What was asked for, in a sentence: how many networks, of what, over which choices."""
    runs = results.runs
    if runs.empty:
        return "No networks yet."
    varied = [f"{field} {_choices(runs[field])}" for field in conditions(runs)]
    same = [words.format(_choices(runs[field])) for field, words in SAID.items() if runs[field].nunique() == 1]
    over = f"; varied: {'; '.join(varied)}" if varied else ""
    seeds = counted(runs["seed"].nunique(), "seed")
    return f"{counted(len(runs), 'network')}: {', '.join([*same, seeds])}{over}."


def _choices(column: pd.Series) -> str:
    found = sorted(column.dropna().unique(), key=lambda value: (isinstance(value, str), value))
    words = [value if isinstance(value, str) else f"{value:g}" for value in found]
    return ", ".join(words) if len(words) <= LISTED else f"{words[0]} … {words[-1]} ({len(words)})"


def claim_entries(
    claims: pd.DataFrame, figures: Sequence[str], grids: Mapping[str, Sequence[str]], commands: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One entry a claim, in their order, with its parts, its figure, and the command that repeats it.

    The figure is the one that the claim's source names: `figure7` for "figure 7".
    """
    entries = []
    for name, parts in claims.groupby("claim", sort=False):
        first, read = parts.iloc[0], list(grids.get(str(name), ()))
        surprising = first["verdict"] in ("holds", "refuted") and first["verdict"] != first["expected_verdict"]
        named = re.search(r"fig(?:ure|\.)\s*(\d+)", str(first["source"]), re.IGNORECASE)
        entries.append(
            {key: first[key] for key in ("claim", "statement", "source", "verdict", "reason")}
            | {"parts": parts.to_dict("records"), "surprising": surprising, "grids": read}
            | {"figure": f"figure{named[1]}" if named and f"figure{named[1]}" in figures else ""}
            | {"command": commands.get(str(name), "")}
        )
    return entries


def fit_rows(results: Results) -> list[dict[str, Any]]:
    """One row a group of runs: how its gradient changes over the layers at initialisation."""
    chains = [name for name, family in FAMILIES.items() if family.chain]
    rows = fits(results.groups(besides="model.depth"), results.initial, signals(), chains).to_dict("records")
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
