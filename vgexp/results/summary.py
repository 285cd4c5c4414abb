"""A summary of a folder for who comes back to a sweep: what became of its runs, and which were best."""

import math
from pathlib import Path
from typing import Any

from vgexp.config import Run, counted, leaves
from vgexp.results.parts import run_rows
from vgexp.results.plans import read_plan

ERRORS = {"final_valid_error": "validation error", "final_train_error": "training error"}
"""What runs are ranked by: the first of these that any has, as a person says it."""
BEST = 2
"""How many runs are named where all have the same data."""

DEFAULTS = leaves(Run())


def summary(folder: Path) -> list[str]:
    """How many runs are done, diverged and failed, then the two lowest final errors with their runs; where there are
    several data sets, the lowest of each.

    A run is named by those of its fields in which the runs of the folder differ.
    """
    plan = read_plan(folder)
    found = run_rows(folder, {}, ("diverged_at", "steps", *ERRORS))
    rows = {run: row for run, row in found.items() if run in plan["runs"]}
    statuses = [row["status"] for row in rows.values()]
    diverged = sum(not _missing(row["diverged_at"]) for row in rows.values() if row["status"] == "done")
    counts = [f"{statuses.count('done')} of {counted(len(plan['runs']), 'run')} done", f"{diverged} diverged"]
    if failed := statuses.count("failed"):
        counts.append(f"{failed} failed")
    return [", ".join(counts), *_best(rows, plan["runs"])]


def _best(rows: dict[str, dict[str, Any]], planned: dict[str, dict[str, Any]]) -> list[str]:
    for column, words in ERRORS.items():
        found = {run: row[column] for run, row in rows.items() if row["steps"] and not _missing(row[column])}
        if found:
            by_data: dict[str, list[str]] = {}
            for run in sorted(found, key=lambda run: found[run]):
                by_data.setdefault(planned[run].get("data.name", DEFAULTS["data.name"]), []).append(run)
            lowest = [run for runs in by_data.values() for run in runs[: 1 if len(by_data) > 1 else BEST]]
            return [f"best {words} {found[run]:.3g}: {_words(run, planned)}" for run in lowest]
    return []


def _words(run: str, planned: dict[str, dict[str, Any]]) -> str:
    """The fields in which the planned runs differ, those among them that have their default too, but for what is
    recorded of them: that makes no run better."""
    changed = dict.fromkeys(key for changes in planned.values() for key in changes)
    keys = [key for key in changed if not key.startswith(("probe.", "eval."))]
    values = {key: [changes.get(key, DEFAULTS.get(key)) for changes in planned.values()] for key in keys}
    differing = [key for key in keys if len(set(map(str, values[key]))) > 1]
    return " ".join(f"{key}={planned[run].get(key, DEFAULTS.get(key))}" for key in differing) or run


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
