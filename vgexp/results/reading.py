"""Reading results: the tables of one or more folders, whatever their age, also while they are being written.

A run may lie in the files of several stacks (it was computed again): its newest `runs` row names the stack whose rows
count. What a table does not have yet, because it is older than a column or a config field, reads as the default.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from vgexp.config import Run, flat
from vgexp.results.columns import TABLES, defaults
from vgexp.results.parts import UNREADABLE, damaged_message, read_tables, reason, require_results, run_rows
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

    Damaged files are named in `Results.damaged` and skipped, and the runs that they belong to have failed.
    Raises ResultsError for a folder without results.
    """
    damaged: dict[Path, str] = {}
    gathered: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    plan = empty_plan()
    folders = [Path(path) for path in paths]
    for folder in folders:
        require_results(folder)
        here = read_plan(folder, damaged)
        plan = merged(plan, here)
        rows = _read_runs(folder, damaged).assign(folder=str(folder))
        gathered["runs"].append(rows[~rows["run"].isin(list(here["superseded"]))])
    newest = _together("runs", gathered["runs"], ["updated"]).drop_duplicates("run", keep="last")
    gathered["runs"] = [newest]
    for folder in folders:
        checksums = {row["stack"]: row["checksums"] for row in run_rows(folder, {}).values()}
        for stack, rows in newest[newest["folder"] == str(folder)].groupby("stack"):
            lost: dict[Path, str] = {}
            done = rows["status"].eq("done").all()
            read = read_tables(folder, str(stack), checksums.get(str(stack), {}) if done else {}, lost)
            if done and lost:
                newest.loc[rows.index, ["status", "message"]] = "failed", damaged_message(lost)
            damaged |= lost
            for name, table in read.items():
                frame = complete(name, table.to_pandas())
                gathered[name].append(frame[frame["run"].isin(rows["run"])])
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
        damaged=[f"{path}: {why}" for path, why in damaged.items()],
    )


def complete(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its key first and with the defaults of the columns that it is older than."""
    known = {**defaults(table), **CONFIG} if table == "runs" else defaults(table)
    frame = frame.assign(**{name: default for name, default in known.items() if name not in frame})
    return frame[[*TABLES[table].key, *(name for name in frame if name not in TABLES[table].key)]]


def _read_runs(folder: Path, damaged: dict[Path, str]) -> pd.DataFrame:
    """Every row of the `runs` table of a folder."""
    frames = []
    for path in sorted((folder / "runs").glob("part-*.parquet")):
        try:
            frames.append(complete("runs", pq.ParquetFile(path).read().to_pandas()))
        except UNREADABLE as error:
            damaged[path] = reason(error)
    return _together("runs", frames, ["updated"])


def _together(table: str, frames: list[pd.DataFrame], order: list[str]) -> pd.DataFrame:
    """The rows of several frames of a table, sorted; of none, its columns."""
    frames = [frame for frame in frames if not frame.empty]
    if not frames:
        return complete(table, pd.DataFrame(columns=["folder"] if table == "runs" else []))
    return pd.concat(frames, ignore_index=True).sort_values(order, ignore_index=True, kind="stable")
