"""Plans: what a sweep or an experiment will do, known before anything starts.

Every run is typed and checked first; what is already done is left out.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vgexp.config import ConfigError, Run, counted
from vgexp.costs import computer, largest_stack, require_memory
from vgexp.data import Unavailable, dataset
from vgexp.experiments.checks import check_prediction, check_run
from vgexp.experiments.compose import composer, groups
from vgexp.experiments.imports import load_imports
from vgexp.experiments.jobs import Job
from vgexp.experiments.overrides import check_keys, check_single, latest
from vgexp.experiments.stacks import require_read, stacked, without_effect
from vgexp.experiments.sweep import Grid, composed, folder_of
from vgexp.networks.identity import identity
from vgexp.results.plans import read_plan
from vgexp.results.status import judged_rows
from vgexp.results.writing import Store

MEMORY_SHARE = 0.25
"""The share of the computer's memory that one stack may take."""

FORECAST = ("checkpoint.every",)
"""What a forecast reads, whatever `memory` is."""


@dataclass
class Plan:
    """What an experiment will do."""

    folder: Path
    runs: list[Run]
    grids: dict[str, list[str]]
    jobs: list[Job]
    left_out: dict[str, str]
    """Grid -> why it cannot be run on this computer."""
    again: dict[str, float | None]
    """Runs that are to be computed again, as was asked or since their tables are damaged, each with the time at which
    its row was written when the plan was made; None without one."""
    damaged: dict[Path, str]
    """Files of the folder that cannot be read, and why."""
    fewer: list[str]
    """Of which choices some runs make no difference, and where."""

    def write(self, command: str) -> None:
        """Adds the plan to the one in its folder, with the command that goes on with it; says what is done already."""
        stacks = [job.runs for job in self.jobs]
        Store(self.folder).plan(self.runs, self.grids, command, self.left_out, self.again, self.damaged, stacks)
        for path, why in self.damaged.items():
            print(f"vgexp: damaged: {path}: {why}; set aside, its runs are to be computed again", file=sys.stderr)
        for line in self.fewer:
            print(line, file=sys.stderr)
        done = len(self.runs) - sum(map(len, stacks))
        if done:
            print(f"{counted(len(self.runs), 'run')}, {done} already done", file=sys.stderr)


def plan(grids: Mapping[str, Grid], typed: Sequence[str] = ()) -> Plan:
    """Checks every run and groups what is left to do into stacks. `typed` are the overrides of the user's own.

    Raises ConfigError at the first thing that is wrong; nothing has been written then.
    """
    load_imports()
    first = next(run for grid in grids.values() for _, run in grid.runs)
    planned: list[tuple[list[str], Run]] = []
    members: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    fewer: list[str] = []
    for name, grid in grids.items():
        try:
            for _, run in grid.runs:
                check_run(run)
        except Unavailable as error:
            if first.scale is None:
                raise
            left_out[name] = error.reason
            continue
        fewer += without_effect(grid)
        members[name] = list(dict.fromkeys(identity(run) for _, run in grid.runs))
        planned += grid.runs
    require_read(typed, [run for grid in grids.values() for _, run in grid.runs])
    if not planned:
        raise ConfigError("scale", first.scale, "a scale with something to run: " + "; ".join(left_out.values()))
    folders = {folder_of(run) for _, run in planned}
    if len(folders) > 1:
        raise ConfigError("name", sorted(map(str, folders)), "one folder a sweep")
    folder = folders.pop()
    store, damaged = Store(folder), dict[Path, str]()
    rows = judged_rows(folder, damaged)
    read_plan(folder, damaged)
    runs = {identity(run): run for _, run in planned}
    done = set() if first.rerun else {run for run, row in rows.items() if row["status"] == "done"}
    again = [run for run, row in rows.items() if row["status"] == "failed" and row["written"] == "done"]
    begun = store.begun()
    if first.rerun:
        again, begun = [*again, *runs], []
    seen = {run: rows.get(run, {}).get("updated") for run in again}
    todo = stacked(planned, limit, lambda run: identity(run) in done, begun)
    for job in todo:
        run = job.runs[0]
        require_memory(run, dataset(run.data), len(job.runs), _memory(run), min(run.jobs or 1, len(todo)))
    members.pop("", None)
    return Plan(folder, list(runs.values()), members, todo, left_out, seen, damaged, fewer)


def single_run(overrides: Sequence[str]) -> Run:
    """The run of overrides without choices, checked, for its forecast in all memory modes. Raises ConfigError."""
    overrides = latest(overrides)
    check_keys(overrides, groups())
    check_single(overrides, "; for several type `vgexp predict -m ...`")
    with composer() as compose:
        [(_, run)] = composed(overrides, compose).runs
    load_imports()
    check_run(run)
    require_read(overrides, [run], FORECAST)
    check_prediction(run)
    return run


def limit(run: Run) -> int:
    """The largest stack of a structure: `max_members`, or what a quarter of its job's share of the memory holds."""
    if run.max_members != "auto":
        return run.max_members
    return largest_stack(run, dataset(run.data), MEMORY_SHARE * _memory(run) / (run.jobs or 1))


def _memory(run: Run) -> int:
    """Bytes of the device that the run is for."""
    if run.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.mem_get_info()[1]
    return computer.memory()
