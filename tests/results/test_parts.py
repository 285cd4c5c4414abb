"""Whole and damaged parts of results."""

import errno
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import small

from vgexp.experiments.plan import plan
from vgexp.experiments.sweep import Grid
from vgexp.results import parts
from vgexp.results.columns import TABLES
from vgexp.results.errors import ResultsError, StorageError
from vgexp.results.parts import check_tables, file_of, opened, require_results, run_rows, write_parts
from vgexp.results.reading import read
from vgexp.results.status import folder_status
from vgexp.results.writing import Store
from vgexp.training.loop import train

RUNS = [small(steps=2, probe__tier="full", probe__histograms="ends", probe__spectra="ends", seed=s) for s in (0, 1)]
DAMAGES = {
    "lost": None,
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "garbage": lambda content: b"no parquet " * 50,
    "flipped": lambda content: content[:300] + bytes([content[300] ^ 255]) + content[301:],
    "of another training": lambda content: whole(file_of(Path("other"), "layers", "s")),
}


def whole(path):
    write_parts(Path("other"), "s", {"layers": pa.table({"run": ["x"]})}, pa.table({"run": ["x"]}))
    return path.read_bytes()


@pytest.fixture
def trained(tmp_path_factory):
    """Two done runs of one stack and one of another, with every table."""
    kept = tmp_path_factory.getbasetemp() / "trained"
    if not kept.exists():
        store = Store(kept)
        store.plan(RUNS, {}, "vgexp train")
        train(RUNS, store)
        train([replace(RUNS[0], seed=2)], store)
    shutil.copytree(kept, "here")
    return Path("here"), {row["stack"] for row in run_rows(kept, {}).values() if row["run"] in read(kept).planned}.pop()


@pytest.mark.parametrize(
    ("table", "damage"),
    [
        (table, damage)
        for table in TABLES
        for damage in DAMAGES
        if table != "runs" or damage not in ("flipped", "of another training")  # nothing holds its checksum
    ],
)
def test_a_damaged_table_is_named_and_its_runs_are_not_done(trained, table, damage):
    folder, stack = trained
    path, change = file_of(folder, table, stack), DAMAGES[damage]
    content = path.read_bytes()
    path.unlink()
    if change is not None:
        path.write_bytes(change(content))
    named = [] if (table, damage) == ("runs", "lost") else [path]
    assert len(Store(folder).done()) == 1
    found = folder_status(folder)
    assert list(found.damaged) == named
    assert sorted(run.status for run in found.runs) == ["done", *(["missing"] if table == "runs" else ["failed"]) * 2]
    assert found.commands == ["vgexp train"]
    results = read(folder)
    assert [line.split(": ")[0] for line in results.damaged] == [str(path) for path in named]
    assert results.runs["status"].eq("done").sum() == 1
    if table != "runs":
        assert results.runs["message"].eq(f"damaged: {path}").sum() == 2
        assert results.tables()[table]["run"].nunique() == 1  # of the other stack
        assert results.steps["run"].nunique() == (1 if table == "steps" else 3)


def test_older_parts_are_whole_where_they_can_be_read(trained):
    folder, stack = trained
    path = file_of(folder, "runs", stack)
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)
    assert run_rows(folder, {})[read(folder).runs["run"].iloc[0]]["checksums"] is not None
    assert len(Store(folder).done()) == 3 and read(folder).damaged == []
    file_of(folder, "layers", stack).write_bytes(b"PAR1 no")
    assert len(Store(folder).done()) == 1 and len(read(folder).damaged) == 1
    assert sum(run.status == "failed" for run in folder_status(folder).runs) == 2


def test_an_older_part_with_damage_in_its_middle_is_computed_again(trained):
    """Who asks for the status quickly is not told of it, who plans is."""
    folder, stack = trained
    path = file_of(folder, "runs", stack)
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)
    layers = file_of(folder, "layers", stack)
    content = layers.read_bytes()
    layers.write_bytes(content[:4] + b"\xff" * 300 + content[304:])
    assert len(Store(folder).done()) == 1
    assert len(read(folder).damaged) == 1 and folder_status(folder).damaged == {}


def test_a_table_that_was_not_there_is_not_missed(tmp_path):
    runs = pa.table({"run": ["a"], "status": ["done"], "stack": ["s"]})
    write_parts(tmp_path, "s", {}, runs)
    row = run_rows(tmp_path, {})["a"]
    assert (row["checksums"], row["step"]) == ({}, None)
    assert check_tables(tmp_path, "s", {}) == {}


def test_the_newest_row_counts(tmp_path):
    for stack, status, updated in (("a", "done", 2.0), ("b", "running", 3.0), ("c", "failed", 1.0)):
        runs = pa.table({"run": ["x"], "status": [status], "stack": [stack], "updated": [updated]})
        write_parts(tmp_path, stack, {}, runs)
    assert run_rows(tmp_path, {})["x"]["status"] == "running"


def test_rows_have_the_columns_that_are_asked_for(tmp_path):
    for stack, run, columns in (("a", "x", {"steps": [5]}), ("b", "y", {})):
        runs = pa.table({"run": [run], "status": ["done"], "stack": [stack], "lr": [0.5], **columns})
        write_parts(tmp_path, stack, {}, runs)
    rows = run_rows(tmp_path, {}, more=("steps",))
    assert {run: row["steps"] for run, row in rows.items()} == {"x": 5, "y": None}
    assert "lr" not in rows["x"] and "steps" not in run_rows(tmp_path, {})["x"]


def test_a_part_is_read_again_only_when_it_was_replaced(tmp_path, monkeypatch):
    read_files = []

    def counted(path):
        read_files.append(path.stem)
        return opened(path)

    for stack in "ab":
        write_parts(tmp_path, stack, {}, pa.table({"run": [stack], "stack": [stack], "status": ["running"]}))
    monkeypatch.setattr("vgexp.results.parts.opened", counted)
    first = run_rows(tmp_path, {})
    assert read_files == ["part-a", "part-b"] and run_rows(tmp_path, {}) == first and len(read_files) == 2
    first["a"]["status"] = "changed by its reader"
    write_parts(tmp_path, "b", {}, pa.table({"run": ["b"], "stack": ["b"], "status": ["done"]}))
    found = run_rows(tmp_path, {})
    assert read_files == ["part-a", "part-b", "part-b"]
    assert [found[run]["status"] for run in "ab"] == ["running", "done"]
    damaged = {}
    file_of(tmp_path, "runs", "a").write_bytes(b"no parquet")
    assert set(run_rows(tmp_path, damaged)) == {"b"} and [path.name for path in damaged] == ["part-a.parquet"]


@pytest.mark.parametrize(
    ("table", "column", "cells"),
    [
        ("layers", "dz_rms", ["x"]),
        ("layers", "layer", None),
        ("layers", "step", pa.nulls(1)),
        ("histograms", "edges", [0.5]),
        ("histograms", "edges", [["a"]]),
        ("histograms", "quantity", [1]),
        ("spectra", "singular_values", ["x"]),
        ("steps", "run", [b"a"]),
        ("runs", "model.depth", ["five"]),
        ("runs", "model.width", [[5]]),
        ("runs", "git_dirty", ["x"]),
    ],
)
def test_a_table_of_somebody_elses_is_none_of_ours(table, column, cells, tmp_path):
    row = {"run": ["a"], "stack": ["s"], "status": ["done"], "step": [0], "layer": [1]}
    fine = pa.table({**row, "edges": [[0.0, 1.0]], "mine": [[2.0]], "dz_rms": pa.nulls(1), "model.width": ["[5, 4]"]})
    path = file_of(tmp_path, table, "s")
    path.parent.mkdir()
    pq.write_table(fine, path)
    assert opened(path).metadata.num_rows == 1
    rest = fine.drop_columns([column] if column in fine.column_names else [])
    pq.write_table(rest if cells is None else rest.append_column(column, pa.array(cells)), path)
    with pytest.raises(OSError, match=f"no table of {table}: .*{column}"):
        opened(path)
    pq.write_table(fine.append_column("step", fine["step"]), path)
    with pytest.raises(OSError, match=f"no table of {table}: its column step"):
        opened(path)


def test_a_path_that_is_not_in_utf_8_says_so(tmp_path):
    with pytest.raises(ResultsError, match="not in UTF-8"):
        require_results(tmp_path / "\udcff")


def test_a_file_that_cannot_be_read_back_is_no_fault_of_the_runs(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("vgexp.results.parts.checksum", refuse)
    with pytest.raises(StorageError, match=r"Permission denied: .*part-s\.parquet"):
        write_parts(tmp_path, "s", {"layers": lambda stream: stream.write(b"rows")}, pa.table({"run": ["a"]}))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("refused", ["checksum", "_rows_of"])
def test_what_the_system_does_not_let_us_read_is_not_taken_for_damaged(number, refused, trained, monkeypatch):
    """It may be whole: nothing is set aside, and nothing is computed again."""
    folder, stack = trained
    path = file_of(folder, "runs" if refused == "_rows_of" else "layers", stack)
    real = getattr(parts, refused)

    def refuse(asked, *more):
        if asked.resolve() == path.resolve():
            raise OSError(number, "no", str(path))
        return real(asked, *more)

    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    monkeypatch.setattr(parts, refused, refuse)
    for ask in (lambda: Store(folder).done(), lambda: folder_status(folder), lambda: plan_of(RUNS, folder)):
        with pytest.raises(StorageError, match=path.name):
            ask()
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet*")} == before


def plan_of(runs, folder):
    Path("results").mkdir(exist_ok=True)
    Path("results/here").symlink_to(folder.absolute())
    try:
        plan({"": Grid([], [([], replace(run, name="here")) for run in runs])})
    finally:
        Path("results/here").unlink()


def test_changed_bytes_in_what_a_part_says_of_itself_damage_that_part_alone(trained):
    """Its checksums, and what pandas wrote of its columns; the sums of parquet do not hold these."""
    folder, stack = trained
    path = file_of(folder, "runs", stack)
    content, metadata = path.read_bytes(), pq.read_schema(path).metadata
    others = {run.run for run in folder_status(folder).runs} - set(pq.read_table(path)["run"].to_pylist())
    for key, changed in (
        (parts.CHECKSUMS, b'{"layers": 12'),
        (parts.CHECKSUMS, b"\xff\xfe"),
        (parts.CHECKSUMS, b"[1]"),
        (parts.CHECKSUMS, b'{"layers": "12"}'),
        (b"pandas", b"{"),
        (b"pandas", b'{"columns": [{"name": "run"}], "index_columns": []}'),
        (b"pandas", b"\xff"),
    ):
        path.write_bytes(content)
        pq.write_table(pq.read_table(path).replace_schema_metadata({**metadata, key: changed}), path)
        results = read(folder)
        # What pandas wrote is read of one part for all that are alike.
        assert set(results.runs["run"]) == others or (key == b"pandas" and results.damaged == []), changed
        assert all(line.startswith(f"{path}: ") for line in results.damaged)
        assert {run.run for run in folder_status(folder).runs if run.status == "done"} >= others
        assert Store(folder).done() >= others
