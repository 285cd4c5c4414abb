"""Row groups: tables that are read and written piece by piece, so that none is in memory whole."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vgexp.results.columns import defaults
from vgexp.results.parts import opened

ROWS = 2**17
"""Rows that lie together in a file, and are decoded together."""


def rows_of(path: Path, runs: Collection[str] | None = None, before: int | None = None) -> Iterator[pa.Table]:
    """The rows of a file, in their order: of all runs or some, of all steps or those before one. Raises as `opened`."""
    with opened(path) as file:
        for group in range(file.num_row_groups):  # iter_batches reads the whole file ahead
            rows = file.read_row_group(group, use_threads=False).replace_schema_metadata()
            if runs is not None:
                rows = rows.filter(pa.array(rows["run"].to_pandas().isin(list(runs))))
            if before is not None:
                rows = rows.filter(pa.array(rows["step"].to_numpy() < before))
            if len(rows):
                yield rows


def extended(saved: Iterable[pa.Table], new: pa.Table, key: Sequence[str]) -> Iterator[pa.Table]:
    """Rows that are saved, and later steps of the same runs, in the order of a key that begins with `run` and `step`;
    both are in this order."""
    runs, begin = new["run"].to_pylist(), 0
    for rows in saved:
        # Of its last run there may be more in the next piece.
        end = max(begin, bisect_left(runs, rows["run"][-1].as_py()))
        both = pa.concat_tables([rows, new[begin:end]])
        yield both.sort_by([(column, "ascending") for column in key]) if end > begin else rows
        begin = end
    yield new[begin:]


def write_groups(stream: Any, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Writes tables into a stream one after the other, small ones together."""
    with pq.ParquetWriter(stream, schema, compression="zstd") as writer:
        gathered: list[pa.Table] = [schema.empty_table()]
        for table in tables:
            gathered.append(table)
            if sum(map(len, gathered)) >= ROWS:
                writer.write_table(pa.concat_tables(gathered), ROWS)
                gathered = []
        if gathered:
            writer.write_table(pa.concat_tables(gathered), ROWS)


def common_schema(name: str, schemas: Iterable[pa.Schema]) -> pa.Schema:
    """All columns of some files of a table, and those that it has by now."""
    schema = pa.unify_schemas([schema.remove_metadata() for schema in schemas], promote_options="permissive")
    for column, default in defaults(name).items():
        if column not in schema.names:
            schema = schema.append(pa.field(column, pa.scalar(default).type))
    return schema


def conform(name: str, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of a table with the columns of a schema; those that they are older than have their defaults."""
    for column in schema.names:
        if column not in rows.column_names:
            rows = rows.append_column(column, pa.array([defaults(name).get(column)] * len(rows)))
    return rows.select(schema.names).replace_schema_metadata().cast(schema, safe=False)
