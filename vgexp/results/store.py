"""Results on disk: a plan, tidy tables in parquet, and the training state of what is still running.

    results/<experiment>/<scale>/     (or results/<name>/)
        plan.json                     every run that was asked for, and which grid it belongs to
        runs/part-<stack>.parquet     written last, as the mark that the rest is there
        steps/ layers/ histograms/ spectra/part-<stack>.parquet
        state/<stack>.pt              weights and optimiser, removed when the stack is done

Every file is written beside its place and renamed into it: a reader sees the old or the new one. A run may
lie in several parts (it was computed again); its newest `runs` row names the stack whose rows count.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from vgexp.config import RESULTS_VERSION, Run, changes, flat, identity

TABLES = ("runs", "steps", "layers", "histograms", "spectra")
KEYS = {
    "runs": ["run"],
    "steps": ["run", "step"],
    "layers": ["run", "step", "layer", "part"],
    "histograms": ["run", "step", "layer", "part", "quantity"],
    "spectra": ["run", "step", "layer"],
}
TIMES = ("seconds", "started", "updated", "forward_ms", "backward_ms", "peak_bytes")
PROVENANCE = ("stack", "git_sha", "git_dirty", "vgexp", "torch", "python", "processor", "device", "threads")
"""Columns that may differ between two computations of the same run."""


class ResultsError(ValueError):
    """A folder that holds no results, in one line."""


@dataclass
class Results:
    """The tables of one or more folders as DataFrames, joined by `run`."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    layers: pd.DataFrame
    histograms: pd.DataFrame
    spectra: pd.DataFrame
    folders: list[Path]
    planned: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Run id -> what differs from the defaults."""
    grids: dict[str, list[str]] = field(default_factory=dict)
    """Grid of an experiment -> its run ids."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Grid of an experiment -> why it could not be planned here."""
    commands: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    """Files that could not be read, each with the reason: they were skipped."""

    def select(self, runs: Sequence[str]) -> "Results":
        """The same tables with these runs only."""
        kept = {name: table[table["run"].isin(list(runs))] for name, table in self.tables().items()}
        return Results(
            runs=kept["runs"],
            steps=kept["steps"],
            layers=kept["layers"],
            histograms=kept["histograms"],
            spectra=kept["spectra"],
            folders=self.folders,
            planned={run: self.planned[run] for run in runs if run in self.planned},
            commands=self.commands,
            damaged=self.damaged,
        )

    def grid(self, name: str) -> "Results":
        """The runs of one grid of the experiment; none of them when the grid was not planned."""
        return self.select(self.grids.get(name, []))

    def tables(self) -> dict[str, pd.DataFrame]:
        return {name: getattr(self, name) for name in TABLES}

    def comparable(self) -> dict[str, pd.DataFrame]:
        """The tables sorted by key, without times and provenance: equal for equal experiments."""
        return {
            name: table.drop(columns=[c for c in (*TIMES, *PROVENANCE) if c in table]).sort_values(
                KEYS[name], ignore_index=True
            )
            for name, table in self.tables().items()
        }


class Store:
    """Writes the results of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(
        self,
        runs: Sequence[Run],
        grids: Mapping[str, Sequence[str]],
        command: str,
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        """Adds runs to the plan, and says which grids cannot be run here and why."""
        known = read_plan(self.folder)
        known["version"] = RESULTS_VERSION
        known["runs"] |= {identity(run): changes(run) for run in runs}
        for name, ids in grids.items():
            known["grids"][name] = list(ids)
            known["left_out"].pop(name, None)
        known["left_out"] |= dict(left_out or {})
        known["commands"] = list(dict.fromkeys([*known["commands"], command]))
        write_atomically(self.folder / "plan.json", json.dumps(known, indent=1).encode())

    def done(self) -> set[str]:
        """Ids of the runs that are there, whole."""
        runs = _read_runs(self.folder, [])
        return set() if runs.empty else set(runs.loc[runs["status"] == "done", "run"])

    def write(self, stack: str, tables: Mapping[str, pd.DataFrame], runs: pd.DataFrame) -> None:
        """Replaces the parts of a stack, `runs` last."""
        for name, table in {**tables, "runs": runs}.items():
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink, compression="zstd")
            write_atomically(self._part(name, stack), sink.getvalue())

    def fail(self, runs: Sequence[Run], message: str) -> None:
        """Records runs that ended in an error, beside whatever tables they left."""
        stack = stack_id(runs)
        self.write(stack, {}, runs_frame(runs, stack, status="failed", message=message))

    def save_state(self, stack: str, state: Mapping[str, Any]) -> None:
        path = self.folder / "state" / f"{stack}.pt"
        write_atomically(path, lambda stream: torch.save(dict(state), stream))

    def load_state(self, stack: str) -> dict[str, Any] | None:
        """The training state of an interrupted stack; None when there is none that can be read."""
        path = self.folder / "state" / f"{stack}.pt"
        for left in path.parent.glob(f".{stack}.pt.*.tmp"):
            left.unlink(missing_ok=True)  # of a process that was killed while it wrote
        if not path.exists():
            return None
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:
            print(f"vgexp: skipped {path}: {type(error).__name__}: its runs start again")
            return None

    def load_tables(self, stack: str) -> dict[str, pd.DataFrame]:
        """The tables that an interrupted stack left, without `runs`."""
        parts = {name: self._part(name, stack) for name in TABLES if name != "runs"}
        return {name: _read_part(path) for name, path in parts.items() if path.exists()}

    def drop_state(self, stack: str) -> None:
        # The folder stays: another process may be about to write its own state there.
        (self.folder / "state" / f"{stack}.pt").unlink(missing_ok=True)

    def _part(self, table: str, stack: str) -> Path:
        return self.folder / table / f"part-{stack}.parquet"


def stack_id(runs: Sequence[Run]) -> str:
    """12 hex digits that name a stack by its members."""
    return hashlib.sha256(" ".join(identity(run) for run in runs).encode()).hexdigest()[:12]


def runs_frame(runs: Sequence[Run], stack: str, **columns: Any) -> pd.DataFrame:
    """The `runs` rows of a stack: the flat config, then the given columns (one value, or one a member)."""
    rows = [{"run": identity(run), "stack": stack} | _storable(flat(run)) for run in runs]
    return pd.DataFrame(rows).assign(updated=time.time(), **columns)


def read(*paths: str | Path) -> Results:
    """The results in one or more folders, the newest row of every run.

    Damaged files are named in `Results.damaged` and skipped. Raises ResultsError for a folder without
    results.
    """
    damaged: list[str] = []
    gathered: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    plan: dict[str, Any] = _empty_plan()
    folders = [Path(path) for path in paths]
    for folder in folders:
        if not (folder / "plan.json").exists() and not (folder / "runs").is_dir():
            raise ResultsError(f"{folder}: no results here (no plan.json and no runs/)")
        for key, value in read_plan(folder, damaged).items():
            plan[key] = value if key == "version" else _merged(plan[key], value)
        gathered["runs"].append(_read_runs(folder, damaged).assign(folder=str(folder)))
    newest = _concat(gathered["runs"], ["updated"]).drop_duplicates("run", keep="last")
    gathered["runs"] = [newest]
    for folder in folders:
        here = newest[newest["folder"] == str(folder)] if len(newest) else newest
        for table in TABLES[1:]:
            gathered[table] += _read_table(folder, table, here, damaged)
    tables = {name: _concat(frames, KEYS[name]) for name, frames in gathered.items()}
    return Results(
        runs=tables["runs"],
        steps=tables["steps"],
        layers=tables["layers"],
        histograms=tables["histograms"],
        spectra=tables["spectra"],
        folders=folders,
        planned=plan["runs"],
        grids=plan["grids"],
        left_out=plan["left_out"],
        commands=plan["commands"],
        damaged=damaged,
    )


def read_plan(folder: Path, damaged: list[str] | None = None) -> dict[str, Any]:
    """The plan of a folder; an empty one where there is none or it cannot be read."""
    path = folder / "plan.json"
    if not path.exists():
        return _empty_plan()
    try:
        return _empty_plan() | json.loads(path.read_text())
    except ValueError as error:
        if damaged is not None:
            damaged.append(f"{path}: {error}")
        return _empty_plan()


def write_atomically(path: Path, content: Any | Callable[[Any], None]) -> None:
    """Writes bytes (or lets a function write) beside `path`, flushes to the disk, and renames into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as stream:
            if callable(content):
                content(stream)
            else:
                stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _empty_plan() -> dict[str, Any]:
    return {"version": RESULTS_VERSION, "runs": {}, "grids": {}, "left_out": {}, "commands": []}


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) else [*old, *(item for item in new if item not in old)]


def _storable(config: dict[str, Any]) -> dict[str, Any]:
    """Lists as JSON text: columns stay comparable and can be grouped by."""
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in config.items()}


def _read_part(path: Path) -> pd.DataFrame:
    return pq.ParquetFile(path).read().to_pandas()


def _read_parts(folder: Path, table: str, damaged: list[str]) -> dict[str, pd.DataFrame]:
    """Stack -> its part of a table; files that cannot be read are added to `damaged`."""
    frames = {}
    for path in sorted((folder / table).glob("part-*.parquet")):
        try:
            frames[path.stem.removeprefix("part-")] = _read_part(path)
        except (OSError, pa.ArrowException) as error:
            damaged.append(f"{path}: {str(error).splitlines()[0]}")
    return frames


def _read_runs(folder: Path, damaged: list[str]) -> pd.DataFrame:
    """The newest row of every run of a folder."""
    frames = list(_read_parts(folder, "runs", damaged).values())
    if not frames:
        return pd.DataFrame(columns=["run", "stack", "status", "updated"])
    return _concat(frames, ["updated"]).drop_duplicates("run", keep="last")


def _read_table(folder: Path, table: str, runs: pd.DataFrame, damaged: list[str]) -> list[pd.DataFrame]:
    """The rows of a table, each run's from the stack that its `runs` row names."""
    parts = _read_parts(folder, table, damaged)
    named = {stack: set(runs.loc[runs["stack"] == stack, "run"]) for stack in runs["stack"].unique()}
    return [part[part["run"].isin(named[stack])] for stack, part in parts.items() if stack in named]


def _concat(frames: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    frames = [frame for frame in frames if not frame.empty]
    if "part" in keys:  # a table written before layers had parts
        frames = [frame if "part" in frame else frame.assign(part="") for frame in frames]
    if not frames:
        return pd.DataFrame(columns=list(dict.fromkeys(["run", *keys, "stack", "status"])))
    return pd.concat(frames, ignore_index=True).sort_values(keys, ignore_index=True, kind="stable")
