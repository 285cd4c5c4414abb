"""Rows: where the rows of every run lie, and reading some of them.

Of a file no more is decoded than the columns that are asked for, and no more is kept than the rows.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vgexp.results.columns import TABLES, defaults, lacking
from vgexp.results.files import reason
from vgexp.results.parts import KEYS, UNREADABLE, file_of, opened, require_columns, run_rows


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
        frame = _in_order(rows.to_pandas(split_blocks=True, self_destruct=True), key)
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
                self._damaged.append(f"{file_of(part.folder, name, part.name)}: {reason(path, error)}")

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
    if all(table.schema == tables[0].schema for table in tables):
        return pa.concat_tables(tables)
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
    key = TABLES[path.parent.name].key
    with pq.ParquetFile(path) as plain:
        metadata, schema = plain.metadata, plain.schema_arrow
    require_columns(path.parent.name, schema)
    names = schema.names
    wanted = [column for column in names if columns is None or column in key or column in columns]
    among = None if all_there else runs
    # Numbers in a dictionary, in place of their ids, are read and chosen faster.
    with pq.ParquetFile(path, metadata=metadata, read_dictionary=["run"]) as file:
        parts = [
            _chosen(file.read_row_group(group, wanted, use_threads=False), among, steps)
            for group in range(file.num_row_groups)
            if _may_have(metadata.row_group(group), "run", among)
            and _may_have(metadata.row_group(group), "step", steps)
        ]
    found = pa.concat_tables(parts) if parts else schema.empty_table().select(wanted)
    if all_there and not set(found["run"].unique().to_pylist()).issubset({*runs, None}):
        found = _chosen(found, runs, None)
    ids = found["run"].cast(schema.field("run").type)
    found = found.set_column(found.column_names.index("run"), "run", ids).replace_schema_metadata()
    for column in KEYS[path.parent.name]:
        cells = found[column]
        if cells.null_count or (pa.types.is_floating(cells.type) and not np.isfinite(cells.to_numpy()).all()):
            raise OSError(f"no table of {path.parent.name}: rows without {column}")
    for column, default in defaults(path.parent.name).items():
        if column not in names and default in ("", 0) and (columns is None or column in key or column in columns):
            found = found.append_column(column, pa.array([default] * len(found)))
        elif default == "" and column in found.column_names and found[column].null_count:
            place = found.column_names.index(column)
            found = found.set_column(place, column, found[column].cast(pa.large_string()).fill_null(default))
    return found


def _chosen(rows: pa.Table, runs: Sequence[str] | None, steps: Collection[int] | None) -> pa.Table:
    """Those of some runs and steps; of all, where these are None."""
    if steps is not None:
        rows = rows.filter(pa.array(np.isin(rows["step"].to_numpy(), list(steps))))
    if runs is not None:
        due = pc.SetLookupOptions(pa.array(list(runs), rows.schema.field("run").type.value_type))
        rows = rows.filter(pc.call_function("is_in", [rows["run"]], due))
    return rows


def _may_have(group: pq.RowGroupMetaData, column: str, wanted: Collection[Any] | None) -> bool:
    """Whether a group of rows has any of these values, as far as what the file says of it tells."""
    said = [group.column(place) for place in range(group.num_columns)]
    found = next((one.statistics for one in said if one.path_in_schema == column), None)
    if wanted is None or found is None or not found.has_min_max:
        return True
    return any(found.min <= one <= found.max for one in wanted)


def _in_order(frame: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """The rows in the order of a key, the last of each value. A part has those of a run together and in order, so that
    mostly it is enough to sort the runs."""
    if not key:
        return frame
    first = pd.factorize(frame[key[0]], sort=True)[0]
    if (first[1:] < first[:-1]).any():
        order = np.argsort(first, kind="stable")
        frame, first = frame.take(order).reset_index(drop=True), first[order]
    if _sorted(first, frame, key[1:]):
        return frame
    return frame.sort_values(key, kind="stable").drop_duplicates(key, keep="last", ignore_index=True)


def _sorted(first: np.ndarray, frame: pd.DataFrame, more: Sequence[str]) -> bool:
    """Whether rows whose key begins with sorted numbers are in the order of the rest of it, one row a key."""
    undecided = first[1:] == first[:-1]
    for column in more:
        if not undecided.any():
            break
        values = frame[column].to_numpy()
        before, after = values[:-1][undecided], values[1:][undecided]
        if (after < before).any():
            return False
        undecided[undecided] = after == before
    return not undecided.any()
