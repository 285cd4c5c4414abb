"""Compaction: the parts of a folder that are done, put together into one file a table.

What is put together is a part like any other, with the newest row of every run. Its files are written whole, that of
`runs` last; then its pieces go, those of `runs` first. At every moment a run's newest row lies in a part that is whole,
so one that dies in between leaves nothing double and nothing lost; what it leaves beside is removed the next time.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vgexp.results.columns import TABLES
from vgexp.results.files import remove_abandoned
from vgexp.results.folders import require_idle
from vgexp.results.locks import alone
from vgexp.results.parts import UNREADABLE, file_of, kind_of, opened, part_of, runs_files, write_parts
from vgexp.results.reading import read_runs
from vgexp.results.row_groups import common_schema, conform, rows_of, write_groups
from vgexp.results.status import judged_rows


def compact(folder: Path) -> tuple[int, int]:
    """Puts the parts of a folder together; returns how many there were and how many there are now.

    Those stay as they are that hold a run which is not done, or a damaged file. Where a column of `runs` is text in
    some parts and numbers in others, as of `model.width=64,[64,32]`, these become a part each. Raises as
    `require_idle`.
    """
    require_idle(folder)
    with alone(folder):
        require_idle(folder)
        remove_abandoned(folder)
        before = len(runs_files(folder))
        counting = _whole(folder)
        for pieces in _alike(folder, [part for part, runs in counting.items() if runs]):
            if len(pieces) > 1:
                name = hashlib.sha256(" ".join(pieces).encode()).hexdigest()[:12]
                _write(folder, name, {piece: counting.pop(piece) for piece in pieces})
                _remove(folder, pieces)
        _remove(folder, [part for part, runs in counting.items() if not runs])
        _remove_leftovers(folder)
        return before, len(runs_files(folder))


def _whole(folder: Path) -> dict[str, list[str]]:
    """The parts all of whose runs are done and whole, here or in another of these parts; and the runs of each whose
    newest row it has."""
    rows = judged_rows(folder, {})
    runs = {}
    for path in runs_files(folder):
        with suppress(*UNREADABLE):
            members = opened(path).read(columns=["run"])["run"].to_pylist()
            for table in TABLES:
                if (beside := file_of(folder, table, part_of(path))).exists():
                    opened(beside)
            runs[part_of(path)] = members
    found = {part for part, members in runs.items() if all(rows[run]["status"] == "done" for run in members)}
    while lacking := {part for part in found if any(rows[run]["part"] not in found for run in runs[part])}:
        found -= lacking
    return {part: [run for run in runs[part] if rows[run]["part"] == part] for part in sorted(found)}


def _alike(folder: Path, parts: Sequence[str]) -> list[list[str]]:
    """Parts whose rows of `runs` can be one table: no column is text in one and numbers in another."""
    found: list[tuple[dict[str, str], list[str]]] = []
    for part in parts:
        schema = pq.read_schema(file_of(folder, "runs", part))
        kinds = {name: kind_of(kind) for name, kind in zip(schema.names, schema.types, strict=True)}
        kinds = {name: kind for name, kind in kinds.items() if kind}
        for known, alike in found:
            if all(known.get(name, kind) == kind for name, kind in kinds.items()):
                known |= kinds
                alike.append(part)
                break
        else:
            found.append((kinds, [part]))
    return [alike for _, alike in found]


def _write(folder: Path, name: str, pieces: Mapping[str, list[str]]) -> None:
    """Writes a part with these runs of these parts."""
    rows = read_runs(folder, {})
    counting = {(piece, run) for piece, runs in pieces.items() for run in runs}  # others have newer rows elsewhere
    there = [(part.name, run) in counting for part, run in zip(rows["part"], rows["run"], strict=True)]
    newest = rows[there].drop(columns=["folder", "part"]).sort_values("run", ignore_index=True)
    tables = {
        table: partial(_put_together, folder, table, pieces)
        for table in TABLES
        if table != "runs" and any(file_of(folder, table, piece).exists() for piece in pieces)
    }
    write_parts(folder, name, tables, pa.Table.from_pandas(newest, preserve_index=False))


def _put_together(folder: Path, name: str, pieces: Mapping[str, list[str]], stream: Any) -> None:
    """Writes a table of some parts into a stream: of each the rows of these runs."""
    files = {piece: file_of(folder, name, piece) for piece in pieces if file_of(folder, name, piece).exists()}
    schema = common_schema(name, [pq.read_schema(path) for path in files.values()])
    rows = (rows for piece, path in files.items() for rows in rows_of(path, pieces[piece]))
    write_groups(stream, schema, (conform(name, piece, schema) for piece in rows))


def _remove(folder: Path, parts: Sequence[str]) -> None:
    """Removes parts, their files of `runs` first: without it the others are not looked at."""
    for part in parts:
        file_of(folder, "runs", part).unlink()
    for part in parts:
        for name in TABLES:
            file_of(folder, name, part).unlink(missing_ok=True)


def _remove_leftovers(folder: Path) -> None:
    """Removes files of parts that are no longer there, where all of their runs are done elsewhere."""
    done = {run for run, row in judged_rows(folder, {}).items() if row["status"] == "done"}
    there = {part_of(path) for path in runs_files(folder)}
    for name in TABLES:
        for path in (folder / name).glob("part-*.parquet"):
            with suppress(*UNREADABLE):
                if part_of(path) not in there and done.issuperset(
                    opened(path).read(columns=["run"])["run"].unique().to_pylist()
                ):
                    path.unlink()
