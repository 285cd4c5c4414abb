"""Rows: where the rows of every run lie, and reading some of them.

Of a file no more is decoded than the columns that are asked for, and no more is kept than the rows.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from vgexp.results.columns import TABLES, defaults, lacking
from vgexp.results.parts import KEYS, UNREADABLE, file_of, opened, reason, require_columns, run_rows


@dataclass(eq=False)
class Part:
    """One file a table, with the rows of some runs."""

    folder: Path
    """As it was given, for messages."""
    root: Path
    """The same, wherever the current folder is when rows are read."""
    name: str
    checksums: Mapping[str, int]
    """Table -> that of its file; those are there of a part that is done."""
    runs: int | None = None
    """How many have rows here, those among them that do not count because they have newer ones, if it is known."""
    damaged: set[str] = field(default_factory=set)
    """Tables that are not read."""


class Rows:
    """The rows of the runs of some folders, but for the `runs` table: a `Source` of `Results`."""

    def __init__(self, parts: Mapping[str, Part], damaged: list[str]) -> None:
        """`parts`: by run. What turns out to be damaged later is added to `damaged`."""
        self._parts, self._damaged = dict(parts), damaged

    def table(
        self, name: str, columns: Sequence[str] | None, runs: Sequence[str], steps: Collection[int] | None
    ) -> pd.DataFrame:
        """As `Results.table`, of runs that are there."""
        found = list(self._read(name, columns, runs, steps))
        known = {column for rows in found for column in rows.column_names}
        if columns is None:
            columns = list(dict.fromkeys([*TABLES[name].key, *(c for rows in found for c in rows.column_names)]))
            columns += [column for column in defaults(name) if column not in columns]
        elsewhere = [column for column in columns if column not in known and column not in TABLES[name].names]
        if elsewhere:  # the parts of other runs may have it
            there = self._columns(name)
            elsewhere = [column for column in elsewhere if column in there]
        absent = lacking(name, columns, known.union(elsewhere)) | dict.fromkeys(elsewhere, math.nan)
        key = [column for column in TABLES[name].key if column in known]
        rows = together(found)
        del found
        frame = rows.to_pandas(split_blocks=True, self_destruct=True)
        if not _sorted(frame, key):
            frame = frame.sort_values(key, kind="stable").drop_duplicates(key, keep="last", ignore_index=True)
        return frame.assign(**absent)[[*columns]]

    def _columns(self, name: str) -> set[str]:
        """The columns that any part has of a table."""
        found: set[str] = set()
        for part in set(self._parts.values()):
            with suppress(*UNREADABLE):
                found |= {*opened(file_of(part.root, name, part.name)).schema_arrow.names}
        return found

    def _read(
        self, name: str, columns: Sequence[str] | None, runs: Sequence[str], steps: Collection[int] | None
    ) -> Iterator[pa.Table]:
        """The rows part by part. One that was put together with others since is looked for again."""
        waiting: dict[Part, list[str]] = {}
        for run in runs:
            if run in self._parts:
                waiting.setdefault(self._parts[run], []).append(run)
        while waiting:
            part, members = waiting.popitem()
            if name in part.damaged:
                continue
            path = file_of(part.root, name, part.name)
            try:
                yield _rows(path, columns, members, len(members) == part.runs, steps)
            except UNREADABLE as error:
                gone = isinstance(error, FileNotFoundError)
                if gone and not file_of(part.root, "runs", part.name).exists():
                    moved = self._found_again(part, members)
                    for other, some in moved.items():
                        waiting.setdefault(other, []).extend(some)
                    gone = len(members) == sum(map(len, moved.values()))
                    if gone:
                        continue
                elif gone and name not in part.checksums:
                    continue  # never was there
                part.damaged.add(name)
                self._damaged.append(f"{file_of(part.folder, name, part.name)}: {reason(error)}")

    def _found_again(self, part: Part, runs: Sequence[str]) -> dict[Part, list[str]]:
        """The parts that runs of another lie in now; runs without any are left out."""
        rows = run_rows(part.root, {})
        known = {found.name: found for found in self._parts.values() if found.root == part.root}
        moved: dict[Part, list[str]] = {}
        for run in runs:
            if run in rows:
                name = rows[run]["part"]
                self._parts[run] = known.setdefault(name, Part(part.folder, part.root, name, rows[run]["checksums"]))
                moved.setdefault(known[name], []).append(run)
        return moved


def together(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of several tables; integers, however large, are floats where another has floats."""
    if not tables:
        return pa.table({})
    unified = pa.unify_schemas([table.schema for table in tables], promote_options="permissive")
    alike = [
        table.cast(pa.schema([unified.field(name) for name in table.column_names]), safe=False) for table in tables
    ]
    return pa.concat_tables(alike, promote_options="permissive")


def _rows(
    path: Path, columns: Sequence[str] | None, runs: Sequence[str], all_there: bool, steps: Collection[int] | None
) -> pa.Table:
    """Rows of a file: its key, and of the columns those that it has, or that read as something where it is older.

    `all_there`: whether these runs are all that the file should have.
    """
    rows = ds.dataset(str(path))
    require_columns(path.parent.name, rows.schema)
    names = rows.schema.names
    key = TABLES[path.parent.name].key
    wanted = [column for column in names if columns is None or column in key or column in columns]
    among = ds.field("run").isin(list(runs))
    chosen = None if all_there else among
    if steps is not None:
        due = ds.field("step").isin(list(steps))
        chosen = due if chosen is None else chosen & due
    found = rows.to_table(columns=wanted, filter=chosen, use_threads=False).replace_schema_metadata()
    for column in KEYS[path.parent.name]:
        cells = found[column]
        if cells.null_count or (pa.types.is_floating(cells.type) and not np.isfinite(cells.to_numpy()).all()):
            raise OSError(f"no table of {path.parent.name}: rows without {column}")
    if all_there and not set(found["run"].unique().to_pylist()).issubset(runs):
        found = found.filter(among)
    for column, default in defaults(path.parent.name).items():
        if column not in names and default in ("", 0) and (columns is None or column in key or column in columns):
            found = found.append_column(column, pa.array([default] * len(found)))
        elif default == "" and column in found.column_names and found[column].null_count:
            place = found.column_names.index(column)
            found = found.set_column(place, column, found[column].cast(pa.large_string()).fill_null(default))
    return found


def _sorted(frame: pd.DataFrame, key: Sequence[str]) -> bool:
    """Whether rows are in the order of a key already, each value of which has one row."""
    if len(frame) < 2 or not key:
        return True
    undecided = np.ones(len(frame) - 1, dtype=bool)
    for column in key:
        values = frame[column].to_numpy()
        before, after = values[:-1][undecided], values[1:][undecided]
        if (after < before).any():
            return False
        undecided[undecided] = after == before
    return not undecided.any()
