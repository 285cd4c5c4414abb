"""Status: how far the runs of a folder are."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from vgexp.results.columns import TABLES
from vgexp.results.locks import computing
from vgexp.results.parts import QUICK, check_tables, damaged_message, require_results, run_rows, steady
from vgexp.results.plans import read_plan, to_go_on

Check = Callable[[Path, str, Mapping[str, int]], dict[Path, str]]
"""Of a stack in a folder, given the checksums of its tables: which of their parts are damaged, and why."""
STATUSES = ("done", "running", "failed", "missing")


@dataclass(frozen=True)
class Status:
    """How far one run is."""

    run: str
    status: str
    step: int | None
    message: str
    """Why it failed."""
    changes: str
    """What differs from the defaults, where it was planned."""


@dataclass(frozen=True)
class FolderStatus:
    """How far the runs of a folder are."""

    runs: list[Status]
    commands: list[str]
    """What to type to compute those that are not done."""
    damaged: dict[Path, str]
    seconds_left: float | None
    """About how long what is left will take, where something is running and something like it is done."""


def statuses(planned: Mapping[str, Mapping[str, Any]], rows: Iterable[Mapping[str, Any]]) -> list[Status]:
    """Every run that was planned or has a row; one that was planned and has none is missing."""
    started = {row["run"]: row for row in rows}
    found = []
    for run in dict.fromkeys([*planned, *started]):
        row = started.get(run, {"status": "missing"})
        step = row.get("step")
        if step is None or math.isnan(step):  # a column with gaps
            step = None
        changes = " ".join(f"{key}={value}" for key, value in planned.get(run, {}).items())
        found.append(Status(run, row["status"], step if step is None else int(step), row.get("message") or "", changes))
    return found


def folder_status(folder: Path) -> FolderStatus:
    """The status of every run of a folder, from its plan and its `runs` table. Raises ResultsError without results.

    Running is only what a process computes now: a run that was begun and left is missing, with the step that it got to.

    Tables are decoded nowhere: damage in the middle of one that is older than checksums, or in a folder of more than
    QUICK bytes, is found by who reads it.
    """
    require_results(folder)
    damaged: dict[Path, str] = {}
    plan = read_plan(folder, damaged)
    check = partial(check_tables, decode=False, content=_size(folder) <= QUICK)
    rows = judged_rows(folder, damaged, check, plan["again"])
    stacks = computing(folder)
    now = {run for stack in stacks for run in stack}
    for run, row in rows.items():
        if row["status"] in ("running", "missing"):
            row["status"] = "running" if run in now else "missing"
    found = statuses(plan["runs"], [row for run, row in rows.items() if run not in plan["superseded"]])
    runs = [replace(run, status="running") if run.status == "missing" and run.run in now else run for run in found]
    lacking = [found.run for found in runs if found.status != "done"]
    left = sum(found.status in ("running", "missing") for found in runs)
    seconds = _seconds_a_run(rows.values())
    return FolderStatus(
        runs, to_go_on(plan["commands"], lacking), damaged, seconds and left * seconds / len(stacks) if stacks else None
    )


def _size(folder: Path) -> int:
    """The bytes of the tables, without those that go away meanwhile, as in a compaction."""
    found = 0
    for path in (path for name in TABLES for path in (folder / name).glob("part-*.parquet")):
        with suppress(FileNotFoundError):
            found += path.lstat().st_size
    return found


def _seconds_a_run(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """What a run took, of those that are done: the median over stacks of the stack's share."""
    stacks: dict[str, list[float]] = {}
    for row in rows:
        if row["status"] == "done" and row["started"] and row["updated"]:
            stacks.setdefault(row["stack"], []).append(row["updated"] - row["started"])
    return median(max(spans) / len(spans) for spans in stacks.values()) if stacks else None


def judged_rows(
    folder: Path,
    damaged: dict[Path, str],
    check: Check | None = check_tables,
    again: Mapping[str, float] | None = None,
) -> dict[str, dict[str, Any]]:
    """Run -> its newest row, done only if it need not be computed again.

    A run that was asked for again since it began is missing: `again` says when, by default as the plan has it. One in
    whose tables a `check` finds damage has failed, its `written` is still done.
    """
    rows, found = steady(
        [folder], lambda: _judged_rows(folder, check, read_plan(folder)["again"] if again is None else again)
    )
    damaged |= found
    return rows


def _judged_rows(
    folder: Path, check: Check | None, again: Mapping[str, float]
) -> tuple[dict[str, dict[str, Any]], dict[Path, str]]:
    damaged: dict[Path, str] = {}
    rows = run_rows(folder, damaged)
    faults: dict[str, dict[Path, str]] = {}
    for run, row in rows.items():
        row["written"], part = row["status"], row["part"]
        if (row["started"] or 0) < again.get(run, 0):
            row |= {"status": "missing", "step": None, "message": ""}
        elif row["status"] == "done" and check is not None:
            if part not in faults:
                faults[part] = check(folder, part, row["checksums"])
                damaged |= faults[part]
            if faults[part]:
                row |= {"status": "failed", "message": damaged_message(faults[part])}
    return rows, damaged
