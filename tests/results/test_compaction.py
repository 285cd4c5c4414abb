"""Compaction: the same tables in one file each, at every moment, wherever it stops."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import small

import vgexp
from vgexp.config import ConfigError
from vgexp.results import parts, row_groups
from vgexp.results.columns import TABLES
from vgexp.results.compaction import compact
from vgexp.results.parts import file_of
from vgexp.results.reading import read
from vgexp.results.status import folder_status
from vgexp.results.writing import Store, runs_frame
from vgexp.training.loop import train

FULL = {"steps": 2, "probe__tier": "full", "probe__histograms": "ends", "probe__spectra": "ends"}


@pytest.fixture
def folder(tmp_path_factory):
    """Parts of two runs, of one that was computed again since, of two layers a block, and of an older version."""
    kept = tmp_path_factory.getbasetemp() / "compaction"
    if not kept.exists():
        store = Store(kept)
        runs = [small(seed=seed, **FULL) for seed in range(5)]
        store.plan(runs, {}, "vgexp train")
        for stack in (runs[:2], runs[1:2], runs[2:4], runs[4:]):
            train(stack, store)
        train([small(model__family="residual", model__branch_layers=2, steps=2)], store)
        old = read(kept).runs.query("seed == 4")["stack"].item()
        for table, column in (("layers", "part"), ("steps", "examples"), ("runs", "optim.eps")):
            path = file_of(kept, table, old)
            pq.write_table(pq.read_table(path).drop_columns([column]).replace_schema_metadata(), path)
    shutil.copytree(kept, "here")
    return Path("here")


def assert_same(one, other):
    for name, table in one.items():
        same = other[name][list(table)]
        pd.testing.assert_frame_equal(table.isna(), same.isna())
        pd.testing.assert_frame_equal(table.fillna(-1.0), same.fillna(-1.0), check_dtype=name != "runs")


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_tables_are_the_same_in_one_file_each(folder):
    before, early = read(folder).comparable(), read(folder)
    planned = (folder / "plan.json").read_bytes()
    assert compact(folder) == (5, 1)
    assert_same(read(folder).comparable(), before)
    assert_same(early.comparable(), before)  # of one who has listed the old files
    assert [len(list((folder / name).iterdir())) for name in TABLES] == [1] * len(TABLES)
    assert {run.status for run in folder_status(folder).runs} == {"done"} and len(Store(folder).done()) == 6
    assert (folder / "plan.json").read_bytes() == planned
    written = files(folder)
    assert compact(folder) == (1, 1) and files(folder) == written
    assert len(read(folder).table("layers", ["run"], runs=before["runs"]["run"][:1]))


def test_what_is_computed_later_lies_beside_and_counts(folder):
    compact(folder)
    again = small(seed=0, **FULL)
    train([again], Store(folder))
    train([small(seed=9, **FULL)], Store(folder))
    before = read(folder).comparable()
    assert len(before["runs"]) == 7
    assert compact(folder) == (3, 1)
    assert_same(read(folder).comparable(), before)


class Died(BaseException):
    """A process was killed."""


@pytest.mark.parametrize("at", range(14))
def test_wherever_it_dies_a_reader_sees_all_and_the_next_one_finishes(folder, at, monkeypatch):
    """At every file that it writes or removes; with the tables of one who reads just then."""
    before, calls = read(folder).comparable(), []

    def dying(real):
        def call(*arguments, **options):
            if len(calls) == at:
                raise Died
            calls.append(arguments)
            return real(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_atomically", dying(parts.write_atomically))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        with pytest.raises(Died):
            compact(folder)
    assert read(folder).damaged == []
    assert_same(read(folder).comparable(), before)
    assert compact(folder)[1] == 1
    assert_same(read(folder).comparable(), before)
    assert [len(list((folder / name).iterdir())) for name in TABLES] == [1] * len(TABLES)


def test_damaged_and_unfinished_parts_stay_as_they_are(folder):
    stacks = read(folder).runs.set_index("seed")["stack"]
    path = file_of(folder, "layers", stacks[2].iloc[0] if isinstance(stacks[2], pd.Series) else stacks[2])
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes([content[300] ^ 255]) + content[301:])
    store, unfinished = Store(folder), small(seed=7)
    store.write("begun", {}, runs_frame([unfinished], "begun", status="running", message="", step=1))
    store.fail([small(seed=8)], "ValueError: broken")
    before, seen = read(folder), files(folder)
    assert len(before.damaged) == 1
    compact(folder)
    after = read(folder)
    assert after.damaged == before.damaged
    assert_same(after.comparable(), before.comparable())
    assert sorted(after.runs["status"]) == ["done"] * 4 + ["failed"] * 3 + ["running"]
    assert path.read_bytes() == seen[path]


def test_nothing_is_put_together_while_something_is_computed(folder):
    before = files(folder)
    with Store(folder).hold([small(seed=77)]), pytest.raises(ConfigError, match="nobody computes"):
        compact(folder)
    assert {path: content for path, content in files(folder).items() if path.suffix == ".parquet"} == {
        path: content for path, content in before.items() if path.suffix == ".parquet"
    }


def test_columns_of_several_kinds_become_one(tmp_path, monkeypatch):
    """A number that is whole in one part, and a column of a user's that another lacks."""
    monkeypatch.setattr(row_groups, "ROWS", 1)
    for run, columns in (("a", {"mine": [1]}), ("b", {"mine": [0.5]}), ("c", {})):
        table = pa.table({"run": [run], "step": [0], "layer": [1], "part": [""], **columns})
        runs = pa.table({"run": [run], "stack": [run], "status": ["done"], "updated": [1.0]})
        parts.write_parts(tmp_path, run, {"layers": table}, runs)
    before = read(tmp_path).comparable()
    assert compact(tmp_path) == (3, 1)
    assert_same(read(tmp_path).comparable(), before)
    assert read(tmp_path).layers["mine"].fillna(-1).tolist() == [1, 0.5, -1]


def test_text_and_numbers_of_one_field_become_a_part_each():
    """Also where a part has nothing there, and where they were put together before."""
    quick = ["data=digits", "steps=1", "probe.every=1", "model.depth=2"]
    for words in (["model.width=4,8,[4,8],[8,4]"], ["checkpoint.every=2,sqrt,3", "memory=checkpoint", "model.width=4"]):
        vgexp.run(*quick, *words, "max_members=1", "name=here")
    vgexp.run(*quick, "model.width=4", "model.activation=relu", "max_members=auto", "name=here")
    folder = Path("results/here")
    before = read(folder).comparable()
    assert compact(folder) == (7, 4)
    assert_same(read(folder).comparable(), before)
    assert compact(folder) == (4, 4)
    vgexp.run(*quick[:-1], "model.depth=3", "model.width=[8,4,4]", "max_members=1", "name=here")
    before = read(folder).comparable()
    assert compact(folder) == (5, 4)
    assert_same(read(folder).comparable(), before)
    assert {run.status for run in folder_status(folder).runs} == {"done"}


def test_a_row_that_no_longer_counts_is_gone_also_where_the_newer_one_lies_in_another_part():
    quick = ["data=digits", "steps=1", "model.depth=2", "model.width=4", "name=here"]
    vgexp.run(*quick, "seed=0,1", "max_members=auto")
    vgexp.run(*quick, "seed=2,3", "max_members=auto")
    vgexp.run(*quick, "seed=0", "max_members=8", "rerun=true")
    vgexp.run(*quick, "seed=4", "max_members=8")
    folder = Path("results/here")
    before = read(folder).comparable()
    assert compact(folder) == (4, 2)
    assert_same(read(folder).comparable(), before)
    rows = [pq.read_table(path)["run"].to_pylist() for path in sorted((folder / "runs").iterdir())]
    assert sorted(map(len, rows)) == [2, 3] and len({run for part in rows for run in part}) == 5


def test_one_who_reads_all_the_time_sees_no_less(folder, tmp_path):
    """In another process, from before the first file is written until after the last is removed."""
    for seed in range(100, 106):
        train([small(seed=seed, **FULL)], Store(folder))
    seen, stop = tmp_path / "seen", tmp_path / "stop"
    reader = subprocess.Popen([sys.executable, "-c", READER, str(folder), str(seen), str(stop)])
    try:
        _wait_for(lambda: seen.exists() and seen.read_text().count("\n") >= 2, reader)
        assert compact(folder)[1] == 1
        there = seen.read_text().count("\n")
        _wait_for(lambda: seen.read_text().count("\n") >= there + 2, reader)
    finally:
        stop.touch()
        assert reader.wait(LONG) == 0
    [line] = set(seen.read_text().splitlines())
    results = read(folder)
    assert line == f"{len(results.runs)} {len(results.layers)} {len(results.steps)} 0"


READER = """
import sys
from pathlib import Path
from vgexp.results import read
folder, seen, stop = map(Path, sys.argv[1:])
with seen.open("w") as stream:
    while not stop.exists():
        found = read(folder)
        runs = int((found.runs["status"] == "done").sum())
        print(runs, len(found.layers), len(found.steps), len(found.damaged), file=stream, flush=True)
"""
LONG = 120
"""Seconds that a process may take for what takes a moment."""


def _wait_for(happened, process):
    until = time.monotonic() + LONG
    while not happened():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)
