"""Reading results: the tables of one or more folders, whatever their age, also while they are being written.

A run may lie in the files of several stacks (it was computed again): its newest `runs` row names the stack whose rows
count. What a table does not have yet, because it is older than a column or a config field, reads as the default.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vgexp.config import Run, flat
from vgexp.results.columns import TABLES, defaults
from vgexp.results.errors import ResultsError
from vgexp.results.plans import empty_plan, merged, read_plan
from vgexp.results.tables import Results


def stored(config: Mapping[str, Any]) -> dict[str, Any]:
    """A flat config as tables hold it: lists as JSON text, so that columns can be compared and grouped by.

    >>> stored({"model.width": [3, 4], "seed": 0})
    {'model.width': '[3, 4]', 'seed': 0}
    """
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in config.items()}


CONFIG = stored(flat(Run()))
"""The default of every config field, as tables hold it."""


def read(*paths: str | Path) -> Results:
    """The results in one or more folders, the newest row of every run.

    Damaged files are named in `Results.damaged` and skipped. Raises ResultsError for a folder without results.
    """
    damaged: list[str] = []
    gathered: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    plan = empty_plan()
    folders = [Path(path) for path in paths]
    for folder in folders:
        if not (folder / "plan.json").exists() and not (folder / "runs").is_dir():
            raise ResultsError(f"{folder}: no results here (no plan.json and no runs/)")
        for key, value in read_plan(folder, damaged).items():
            plan[key] = value if key == "version" else merged(plan[key], value)
        gathered["runs"].append(read_runs(folder, damaged).assign(folder=str(folder)))
    newest = _together("runs", gathered["runs"], ["updated"]).drop_duplicates("run", keep="last")
    gathered["runs"] = [newest]
    for folder in folders:
        here = newest[newest["folder"] == str(folder)]
        for table in TABLES:
            if table != "runs":
                gathered[table] += _read_table(folder, table, here, damaged)
    tables = {name: _together(name, frames, list(TABLES[name].key)) for name, frames in gathered.items()}
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


def read_runs(folder: Path, damaged: list[str]) -> pd.DataFrame:
    """The newest row of every run of a folder; files that cannot be read are added to `damaged`."""
    frames = list(_read_files(folder, "runs", damaged).values())
    return _together("runs", frames, ["updated"]).drop_duplicates("run", keep="last")


def read_file(path: Path, table: str) -> pd.DataFrame:
    """One file of a table, complete. Raises OSError or pyarrow's errors."""
    return complete(table, pq.ParquetFile(path).read().to_pandas())


def complete(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its key first and with the defaults of the columns that it is older than."""
    known = {**defaults(table), **CONFIG} if table == "runs" else defaults(table)
    frame = frame.assign(**{name: default for name, default in known.items() if name not in frame})
    return frame[[*TABLES[table].key, *(name for name in frame if name not in TABLES[table].key)]]


def file_of(folder: Path, table: str, stack: str) -> Path:
    """Where the rows of a stack lie."""
    return folder / table / f"part-{stack}.parquet"


def _read_files(folder: Path, table: str, damaged: list[str]) -> dict[str, pd.DataFrame]:
    """Stack -> its rows of a table."""
    frames = {}
    for path in sorted((folder / table).glob("part-*.parquet")):
        try:
            frames[path.stem.removeprefix("part-")] = read_file(path, table)
        except (OSError, pa.ArrowException) as error:
            damaged.append(f"{path}: {str(error).splitlines()[0]}")
    return frames


def _read_table(folder: Path, table: str, runs: pd.DataFrame, damaged: list[str]) -> list[pd.DataFrame]:
    """The rows of a table, each run's from the stack that its `runs` row names."""
    frames = _read_files(folder, table, damaged)
    named = {stack: set(runs.loc[runs["stack"] == stack, "run"]) for stack in runs["stack"].unique()}
    return [frame[frame["run"].isin(named[stack])] for stack, frame in frames.items() if stack in named]


def _together(table: str, frames: list[pd.DataFrame], order: list[str]) -> pd.DataFrame:
    """The rows of several frames of a table, sorted; of none, its columns."""
    frames = [frame for frame in frames if not frame.empty]
    if not frames:
        return complete(table, pd.DataFrame(columns=["folder"] if table == "runs" else []))
    return pd.concat(frames, ignore_index=True).sort_values(order, ignore_index=True, kind="stable")
