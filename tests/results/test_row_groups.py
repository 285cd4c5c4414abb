"""Tables that are read and written piece by piece are those that are read and written whole."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from vgexp.results.row_groups import common_schema, conform, extended, rows_of, write_groups

KEY = ("run", "step", "layer")
RUNS, STEPS, LAYERS = st.sampled_from("abcdef"), st.integers(0, 9), st.integers(1, 3)


def table(rows):
    rows = sorted(rows)
    columns = {name: [row[i] for row in rows] for i, name in enumerate(KEY)}
    types = {"run": pa.string(), "step": pa.int64(), "layer": pa.int64()}
    return pa.table({name: pa.array(columns[name], types[name]) for name in KEY})


@given(st.sets(st.tuples(RUNS, STEPS, LAYERS)), st.integers(0, 10), st.integers(1, 5))
def test_what_is_extended_is_in_order_whatever_the_pieces(rows, since, size):
    """Also where a run has rows on one side alone, and where pieces end within a run."""
    old = table(row for row in rows if row[1] < since)
    new = table(row for row in rows if row[1] >= since)
    pieces = [old.slice(first, size) for first in range(0, len(old), size)]
    found = pa.concat_tables([old.slice(0, 0), *extended(pieces, new, KEY)])
    assert found.equals(table(rows))


def test_a_file_is_read_by_runs_and_steps(tmp_path, monkeypatch):
    path = tmp_path / "layers" / "part-x.parquet"
    path.parent.mkdir()
    rows = [(run, step, layer) for run in "abc" for step in range(4) for layer in (1, 2)]
    monkeypatch.setattr("vgexp.results.row_groups.ROWS", 3)
    with path.open("wb") as stream:
        write_groups(stream, table(rows).schema, [table(rows)])
    assert pa.concat_tables(rows_of(path)).equals(table(rows))
    some = pa.concat_tables(rows_of(path, runs=["a", "c"], before=2))
    assert some.equals(table(row for row in rows if row[0] != "b" and row[1] < 2))
    assert list(rows_of(path, runs=[])) == []


def test_small_tables_lie_together(tmp_path):
    rows = [table([("a", step, 1)]) for step in range(9)]
    write_groups(str(tmp_path / "file"), rows[0].schema, rows)
    assert pq.ParquetFile(tmp_path / "file").metadata.num_row_groups == 1
    write_groups(str(tmp_path / "file"), rows[0].schema, [])
    assert pq.read_table(tmp_path / "file").equals(table([]))


def test_rows_that_are_older_than_a_column_have_its_default():
    old, new = table([("a", 0, 1)]), table([("a", 1, 1)]).append_column("part", pa.array(["gate"]))
    schema = common_schema("layers", [old.schema, new.schema])
    both = pa.concat_tables([conform("layers", rows, schema) for rows in (old, new)])
    assert both["part"].to_pylist() == ["", "gate"] and both["dz_rms"].null_count == 0


def test_nothing_is_open_once_it_is_read(tmp_path):
    """So that the file can be replaced on every system."""
    path = Path(tmp_path, "layers", "part-x.parquet")
    path.parent.mkdir()
    pq.write_table(table([("a", 0, 1)]), path)
    list(rows_of(path))
    open_files = Path("/proc/self/fd")
    if open_files.exists():
        assert str(path) not in [str(link.resolve()) for link in open_files.iterdir()]
