"""Reading: several folders, damaged files, tables that are older than their columns."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from samples import small

import vgexp
from vgexp import papers
from vgexp.config.fields import Run
from vgexp.config.rows import flat, from_row
from vgexp.networks.identity import identity
from vgexp.results.columns import TABLES
from vgexp.results.errors import ResultsError
from vgexp.results.reading import CONFIG, complete, read
from vgexp.results.writing import Store
from vgexp.training.loop import train

COMMITTED = sorted(Path(__file__).parents[2].glob("results/*/small"))


def test_tables_hold_what_was_recorded():
    run = small(probe__tier="full", eval__every="end")
    train([run, replace(run, seed=1)], Store(Path("here")))
    results = read("here")
    assert list(results.runs["status"]) == ["done", "done"]
    assert len(results.steps) == 2 * 11
    assert len(results.layers) == 2 * 11 * 4
    assert not list(Path("here/state").glob("*"))
    assert results.runs["final_test_error"].notna().all()
    assert (results.runs["peak_bytes"] > 0).all()
    assert len(results.histograms) == 2 * 2 * (3 + 4 + 4)


def test_two_folders_are_read_together():
    base = ("data=digits", "model.width=8", "model.depth=2", "steps=2")
    vgexp.run(*base, "name=a", "seed=0,1")
    vgexp.run(*base, "name=b", "seed=1,2")
    both = vgexp.read("results/a", "results/b")
    assert sorted(both.runs["seed"]) == [0, 1, 2]
    assert len(both.layers) == 3 * 3 * 3
    assert len(both.planned) == 3


def test_grids_of_one_name_have_the_runs_of_both_folders():
    runs = [small(seed=seed) for seed in range(3)]
    ids = [identity(run) for run in runs]
    Store(Path("a")).plan(runs[:2], {"tanh": ids[:2]}, "one", {"mnist": "no data"})
    Store(Path("b")).plan(runs[1:], {"tanh": ids[1:], "mnist": ids[2:]}, "other")
    both = read("a", "b")
    assert both.grids == {"tanh": ids, "mnist": ids[2:]} and both.left_out == {}
    assert both.commands == {"one": ids[:2], "other": ids[1:]}


def test_damaged_files_are_named_and_skipped():
    results = vgexp.run(
        "data=digits", "model.width=8", "model.depth=2", "steps=2", "seed=0,1", "max_members=1", "name=train"
    )
    stacks = list(results.runs["stack"])
    path = Path("results/train/layers") / f"part-{stacks[0]}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    found = vgexp.read("results/train")
    assert len(found.damaged) == 1
    assert str(path) in found.damaged[0]
    assert set(found.layers["run"]) == {results.runs["run"].iloc[1]}
    runs = Path("results/train/runs") / f"part-{stacks[1]}.parquet"
    runs.write_bytes(b"not parquet")
    assert len(vgexp.read("results/train").damaged) == 2


def test_no_results_is_one_line(tmp_path):
    with pytest.raises(ResultsError, match=r"no results here"):
        read(tmp_path)


def test_reading_loads_no_torch():
    code = "import sys, vgexp.results; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.parent.name)
def test_committed_tables_have_every_field_and_column(folder):
    """Those of papers are older than some: `part`, `dx_rms`, `processor`, model.branch_layers."""
    results = read(folder)
    assert results.damaged == []
    for name, table in results.tables().items():
        assert list(table)[: len(TABLES[name].key)] == list(TABLES[name].key)
        assert set(table) >= {*TABLES[name].key, *TABLES[name].columns} if len(table) else True, name
        assert not table[list(TABLES[name].key)].duplicated().any(), name
    assert set(results.runs) >= set(CONFIG)
    if folder.parent.name in papers.names():
        assert (results.layers["part"] == "").all() and (results.runs["model.branch_layers"] == 1).all()
    for row in results.runs.to_dict("records"):
        from_row(row)


def without(folder, table, *columns):
    """Writes the files of a table again, as they were before some columns existed."""
    for path in Path(folder, table).glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(list(columns)), path)
    for path in Path(folder, "runs").glob("*.parquet"):  # and as it was before there were checksums
        pq.write_table(pq.read_table(path).replace_schema_metadata(), path)


def test_a_table_that_is_older_than_a_field_reads_as_its_default():
    run = small(steps=2)
    train([run, replace(run, seed=1)], Store(Path("new")))
    shutil.copytree("new", "old")
    without("old", "runs", "optim.eps", "probe.on", "data.range", "processor", "init.sigma_w")
    without("old", "layers", "part", "dx_rms")
    new, old = read("new"), read("old")
    assert old.runs["optim.eps"].tolist() == [1e-8, 1e-8] and old.runs["probe.on"].tolist() == ["batch"] * 2
    assert old.runs["data.range"].tolist() == [json.dumps(Run().data.range)] * 2
    assert old.runs["processor"].tolist() == ["", ""] and old.runs["init.sigma_w"].isna().all()
    assert old.layers["dx_rms"].isna().all() and (old.layers["part"] == "").all()
    kept = [column for column in old.layers if column != "dx_rms"]
    pd.testing.assert_frame_equal(old.layers[kept], new.layers[kept])
    assert [flat(from_row(row)) for row in old.runs.to_dict("records")] == [
        flat(from_row(row)) for row in new.runs.to_dict("records")
    ]


def test_old_and_new_tables_are_read_together():
    train([small(steps=2)], Store(Path("a")))
    train([small(steps=2, seed=1, model__family="residual", model__branch_layers=2)], Store(Path("b")))
    without("a", "layers", "part", "dx_rms")
    without("a", "runs", "model.branch_layers")
    both = read("a", "b")
    assert sorted(both.runs["model.branch_layers"]) == [1, 2]
    assert set(both.layers["part"]) == {"", "inner"}
    assert np.isnan(both.layers["dx_rms"]).sum() > 0


def test_a_column_from_the_future_is_kept():
    frame = complete("layers", pd.DataFrame({"run": ["a"], "step": [0], "layer": [1], "tomorrow": [3.0]}))
    assert list(frame)[:4] == ["run", "step", "layer", "part"] and frame["tomorrow"].tolist() == [3.0]


def test_without_rows_there_are_columns(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    results = read(tmp_path)
    assert all(table.empty and set(TABLES[name].columns) <= set(table) for name, table in results.tables().items())
    assert "model.depth" in results.runs and "folder" in results.runs
