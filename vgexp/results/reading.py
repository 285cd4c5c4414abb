"""Reading results: the tables of one or more folders, whatever their age, also while they are being written.

A run may lie in the files of several stacks (it was computed again): its newest `runs` row names the stack whose rows
count. What a table does not have yet, because it is older than a column or a config field, reads as the default.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from vgexp.config import Run, flat
from vgexp.results.columns import TABLES, defaults
from vgexp.results.files import reason
from vgexp.results.parts import (
    UNREADABLE,
    check_tables,
    checksums_in,
    damaged_message,
    file_of,
    opened,
    part_of,
    require_results,
    runs_files,
    steady,
)
from vgexp.results.plans import empty_plan, merged, read_plan
from vgexp.results.rows import Part, Rows
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
    """The results in one or more folders, the newest row of every run. Of the tables other than `runs` it is looked
    whether they are whole; they are read when they are asked for.

    Damaged files are named in `Results.damaged` and skipped, and the runs that they belong to have failed.
    Raises ResultsError for a folder without results.
    """
    folders = [Path(path) for path in paths]
    for folder in folders:
        require_results(folder)
    return steady(folders, lambda: _read(folders))


def _read(folders: Sequence[Path]) -> Results:
    damaged: dict[Path, str] = {}
    gathered = []
    plan = empty_plan()
    for folder in folders:
        here = read_plan(folder, damaged)
        plan = merged(plan, here)
        rows = read_runs(folder, damaged)
        gathered.append(rows[~rows["run"].isin(list(here["superseded"]))])
    newest = _together(gathered).drop_duplicates("run", keep="last").reset_index(drop=True)
    places: dict[str, Part] = dict(zip(newest["run"], newest["part"], strict=True))
    is_done = newest["status"].eq("done").to_numpy(dtype=bool)
    failed: dict[str, list[int]] = {}
    for index in newest.groupby("part", sort=False).indices.values():
        part: Part = newest["part"].iloc[index[0]]
        done = is_done[index].all()
        lost = check_tables(part.folder, part.name, part.checksums)
        if lost and not done:  # it may have been written anew since the part of `runs` was
            lost = check_tables(part.folder, part.name, {})
        if done and lost:
            failed.setdefault(damaged_message(lost), []).extend(index)
        damaged |= lost
        part.damaged = {path.parent.name for path in lost}
    for message, index in failed.items():
        newest.loc[index, ["status", "message"]] = "failed", message
    said = [f"{path}: {why}" for path, why in damaged.items()]
    return Results(
        newest.drop(columns="part").sort_values("run", ignore_index=True),
        *(None,) * 4,
        folders=list(folders),
        planned=plan["runs"],
        grids=plan["grids"],
        left_out=plan["left_out"],
        commands=plan["commands"],
        damaged=said,
        source=Rows(places, said),
    )


def complete(table: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its key first and with the defaults of the columns that it is older than."""
    known = {**defaults(table), **CONFIG} if table == "runs" else defaults(table)
    frame = frame.assign(**{name: default for name, default in known.items() if name not in frame})
    return frame[[*TABLES[table].key, *(name for name in frame if name not in TABLES[table].key)]]


def read_runs(folder: Path, damaged: dict[Path, str]) -> pd.DataFrame:
    """Every row of the `runs` table of a folder, each with its `part`."""
    alike: dict[str, list[tuple[Part, pa.Table]]] = {}  # those with the same columns become a frame at once
    for path in runs_files(folder):
        try:
            table = opened(path).read(use_threads=False)
            checksums = checksums_in(table.schema)
        except UNREADABLE as error:
            damaged[path] = reason(path, error)
            continue
        part = Part(folder, folder.absolute(), part_of(path), checksums, len(table))
        alike.setdefault(table.schema.remove_metadata().to_string(), []).append((part, table))
    frames = []
    for parts in alike.values():
        while parts:
            try:
                frame = pa.concat_tables([table for _, table in parts]).to_pandas()
            except (KeyError, TypeError, ValueError) as error:  # pandas' own metadata, which are those of the first
                first, _ = parts.pop(0)
                damaged[file_of(folder, "runs", first.name)] = f"what is said of its columns makes no sense ({error})"
                continue
            of = pd.Series([part for part, table in parts for _ in range(len(table))], dtype=object)
            frames.append(complete("runs", frame).assign(folder=str(folder), part=of))
            break
    return _together(frames)


def _together(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several frames of `runs`, the newest last; of none, its columns."""
    frames = [frame for frame in frames if not frame.empty]
    if not frames:
        return complete("runs", pd.DataFrame(columns=["folder", "part"]))
    return pd.concat(frames, ignore_index=True).sort_values("updated", ignore_index=True, kind="stable")
