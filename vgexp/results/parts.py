"""Parts: the files of a results folder, one a stack and table, and whether they are whole.

The part of the `runs` table is written last. Its metadata hold the checksums of the others: so a table that was cut
off, changed or lost is told from one that is whole. Parts that are older have none: they are whole where they can be
read. The part of `runs` in which a run's newest row lies names the files with its other rows.

Parts may be put together while somebody reads: the whole is there before its pieces go, that of `runs` first.
"""

import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from vgexp.config import FIELDS
from vgexp.results.columns import COLUMNS, TABLES
from vgexp.results.errors import ResultsError, StorageError
from vgexp.results.files import reason, require_file, write_atomically

CHECKSUMS = b"vgexp.checksums"
"""In the metadata of a part of `runs`: table -> CRC-32 of its part, as JSON."""
PROGRESS = ("run", "stack", "status", "step", "message", "started", "updated")
"""The columns of `runs` that say how far a run is."""
BLOCK = 2**17
"""Bytes that are read at once for a checksum."""
MAGIC, END = b"PAR1", 8
"""What a parquet file begins and ends with; and how many bytes say at its end how long its footer is, and this."""
QUICK = 2**27
"""Bytes whose checksums are computed while somebody waits for no more than a status."""
UNREADABLE = (OSError, pa.ArrowException)
"""What reading a damaged part raises."""
KEYS = {table: tuple(key for key in one.key if key not in ("part", "quantity")) for table, one in TABLES.items()} | {
    "runs": ("run", "stack", "status")
}
"""The columns that every row of a table has; the others of its key are not in older ones."""
_NUMBER = (types.is_integer, types.is_floating)
_TEXT = (types.is_string, types.is_large_string)
KINDS = {
    "number": _NUMBER,
    "text": _TEXT,
    "flag": (types.is_boolean,),
    "list": (lambda kind: types.is_list(kind) and any(fits(kind.value_type) for fits in (*_NUMBER, types.is_null)),),
    "field": (*_NUMBER, *_TEXT, types.is_boolean),
}
"""The types that a column of a kind may have in a file."""
Seen = TypeVar("Seen")
_KEPT: dict[tuple[Path, tuple[str, ...]], tuple[tuple[int, int, int], list[dict[str, Any]], dict[str, Any]]] = {}
"""A file of `runs` and the columns read of it -> which file it was (inode, time, size), its rows, what they share."""


def steady(folders: Sequence[Path], look: Callable[[], Seen]) -> Seen:
    """What `look` sees of folders, none of whose parts went while it looked: else it looks again."""
    while True:
        before = {path for folder in folders for path in runs_files(folder)}
        found = look()
        if before <= {path for folder in folders for path in runs_files(folder)}:
            return found


def runs_files(folder: Path) -> list[Path]:
    """The files of the `runs` table."""
    return sorted((folder / "runs").glob("part-*.parquet"))


def part_of(path: Path) -> str:
    """The part that a file belongs to."""
    return path.stem.removeprefix("part-")


def file_of(folder: Path, table: str, stack: str) -> Path:
    """Where the rows of a stack lie."""
    return folder / table / f"part-{stack}.parquet"


def opened(path: Path) -> pq.ParquetFile:
    """A part, to be read. Raises OSError for what is no part of its table, and what pyarrow does for no parquet."""
    file = pq.ParquetFile(require_file(path))
    require_columns(path.parent.name, file.schema_arrow)
    needed = KEYS[path.parent.name]
    for group in range(file.metadata.num_row_groups):
        columns = [file.metadata.row_group(group).column(place) for place in range(file.metadata.num_columns)]
        for column in columns:
            if column.path_in_schema in needed and column.statistics is not None and column.statistics.null_count:
                raise OSError(f"no table of {path.parent.name}: rows without {column.path_in_schema}")
    return file


def require_columns(table: str, schema: pa.Schema) -> None:
    """Raises OSError for a schema without what every row of a table has, or in which a column has another type."""
    needed = KEYS[table]
    wrong = [name for name in needed if name not in schema.names]
    wrong += [
        name
        for name, kind in zip(schema.names, schema.types, strict=True)
        if not any(fits(kind) for fits in _accepted(table, name)) and (name in needed or not types.is_null(kind))
    ]
    wrong += [name for name, times in Counter(schema.names).items() if times > 1]
    if wrong:
        raise OSError(f"no table of {table}: its column {wrong[0]}")


def kind_of(kind: pa.DataType) -> str:
    """The kind of a column by its type in a file; empty for one that holds nothing, or what no kind has."""
    return next((name for name, fits in KINDS.items() if any(one(kind) for one in fits)), "")


@cache
def _accepted(table: str, name: str) -> tuple[Callable[[pa.DataType], bool], ...]:
    """The types that a column may have: any, of one that is not known."""
    if name in TABLES[table].names:
        return KINDS[COLUMNS[name].kind]
    if table != "runs" or name not in FIELDS:
        return (lambda kind: True,)
    return _NUMBER if FIELDS[name].type in (int, float) else KINDS["field"]


def write_parts(
    folder: Path, stack: str, tables: Mapping[str, pa.Table | Callable[[Any], None]], runs: pa.Table
) -> None:
    """Replaces the files of a part, that of `runs` last; a table may also be what writes one into a stream.

    Raises StorageError where the disk or the system refuses.
    """
    checksums = {}
    for name, table in tables.items():
        content: Any = _encoded(table) if isinstance(table, pa.Table) else table
        path = file_of(folder, name, stack)
        write_atomically(path, content)
        try:
            checksums[name] = zlib.crc32(content) if isinstance(content, pa.Buffer) else checksum(path)
        except OSError as error:  # it may be whole
            raise StorageError(error.errno, error.strerror or str(error), str(path)) from error
    metadata = {**(runs.schema.metadata or {}), CHECKSUMS: json.dumps(checksums).encode()}
    write_atomically(file_of(folder, "runs", stack), _encoded(runs.replace_schema_metadata(metadata)))


def check_tables(
    folder: Path, stack: str, checksums: Mapping[str, int], decode: bool = True, content: bool = True
) -> dict[Path, str]:
    """The files of a part that are damaged or lost, and why. Only those without a checksum have to be decoded; without
    `decode` it is enough that their end can be read, without `content` that the end of any can.
    """
    damaged: dict[Path, str] = {}
    for name in _expected(folder, stack, checksums):
        path = file_of(folder, name, stack)
        try:
            if name in checksums and content:
                _require_whole(path, checksums[name])
            elif name in checksums and not decode:
                _require_end(path)
            elif decode:
                opened(path).read()
            else:
                opened(path)
        except UNREADABLE as error:
            damaged[path] = reason(path, error)
    return damaged


def run_rows(folder: Path, damaged: dict[Path, str], more: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Run -> its newest row: the columns of PROGRESS and `more`, its `part`, and the `checksums` of the tables there.

    A column that a part lacks is None there. Parts that cannot be read are named in `damaged`.
    """
    columns = (*PROGRESS, *more)

    def look() -> tuple[dict[str, dict[str, Any]], dict[Path, str]]:
        newest: dict[str, dict[str, Any]] = {}
        unread: dict[Path, str] = {}
        for path in runs_files(folder):
            try:
                rows, beside = _rows_of(path, columns)
            except UNREADABLE as error:
                unread[path] = reason(path, error)
                continue
            for row in rows:
                before = newest.get(row["run"], {}).get("updated")
                if (row.get("updated") or 0) >= (before or 0):
                    newest[row["run"]] = {**dict.fromkeys(columns), **row, **beside}
        return newest, unread

    newest, unread = steady([folder], look)
    damaged |= unread
    return newest


def _rows_of(path: Path, columns: tuple[str, ...]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a part of `runs`, and what belongs to all of them. A file is read once: it is replaced, not changed,
    and whoever computes a thousand stacks looks at all files a thousand times."""
    state = path.stat()
    written = (state.st_ino, state.st_mtime_ns, state.st_size)
    kept = _KEPT.get((path, columns))
    if kept is None or kept[0] != written:
        file = opened(path)
        schema = file.schema_arrow  # made anew each time
        wanted = [name for name in columns if name in schema.names]
        rows = file.read(columns=wanted, use_threads=False).to_pylist()  # threads would take longer to start
        kept = written, rows, {"part": part_of(path), "checksums": checksums_in(schema)}
        _KEPT[path, columns] = kept
    return kept[1:]


def require_results(folder: Path) -> None:
    """Raises ResultsError for a folder without results, or with a path that no table can be read from."""
    if not is_text(folder.absolute()):
        raise ResultsError(f"{folder}: no results can be here: the path is not in UTF-8")
    if not (folder / "plan.json").exists() and not (folder / "runs").is_dir():
        raise ResultsError(f"{folder}: no results here (no plan.json and no runs/)")


def is_text(path: Path) -> bool:
    """Whether a path is in UTF-8: others are not to be had from the libraries that read tables."""
    try:
        return bool(str(path).encode())
    except UnicodeEncodeError:
        return False


def damaged_message(damaged: Iterable[Path]) -> str:
    """Why a run that was done has failed."""
    return "damaged: " + ", ".join(map(str, damaged))


def checksums_in(runs: pa.Schema) -> dict[str, int]:
    """Table -> CRC-32 of its file, as the schema of a part of `runs` has them. Raises OSError for what is none."""
    try:
        found = json.loads((runs.metadata or {}).get(CHECKSUMS, b"{}"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, int) for value in found.values()):
        raise OSError("its checksums make no sense")
    return found


def _expected(folder: Path, stack: str, checksums: Mapping[str, int]) -> list[str]:
    """The tables that a stack has, or should have."""
    return [name for name in TABLES if name != "runs" and (name in checksums or file_of(folder, name, stack).exists())]


def checksum(path: Path) -> int:
    """The CRC-32 of a file, which is never in memory whole."""
    found, block = 0, memoryview(bytearray(BLOCK))
    with require_file(path).open("rb", buffering=0) as stream:
        while size := stream.readinto(block):
            found = zlib.crc32(block[:size], found)
    return found


def _require_whole(path: Path, written: int) -> None:
    """Raises OSError for a file with another checksum."""
    if checksum(path) != written:
        raise OSError("not what was written")


def _require_end(path: Path) -> None:
    """Raises OSError for a file that does not end as a parquet does: it was cut off, or is another."""
    with require_file(path).open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - END))
        end = stream.read()
    if not end.endswith(MAGIC) or int.from_bytes(end[: -len(MAGIC)], "little") > size - END - len(MAGIC):
        raise OSError("its end is missing")


def _encoded(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
