"""Rows: what is asked for of a table, and no more; wherever its part is by then."""

import math
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import small

from vgexp.config import ConfigError
from vgexp.numerics import QUANTITIES, Quantity
from vgexp.results import rows as rows_module
from vgexp.results.columns import TABLES
from vgexp.results.comparing import compare
from vgexp.results.parts import file_of, write_parts
from vgexp.results.reading import read
from vgexp.results.tables import Results
from vgexp.results.writing import Store
from vgexp.training.loop import train

FULL = {"steps": 4, "probe__tier": "full", "probe__histograms": "ends", "probe__spectra": "ends"}


@pytest.fixture
def folder(tmp_path):
    """Two parts of two runs, a run of which was computed again since, and one that is older than some columns."""
    for seeds in ((0, 1), (2, 3), (3,)):
        train([small(seed=seed, **FULL) for seed in seeds], Store(tmp_path))
    train([small(seed=4, **FULL)], Store(tmp_path))
    old = read(tmp_path).runs.query("seed == 4")["stack"].item()
    for table, columns in (("layers", ["part", "dx_rms"]), ("steps", ["examples"])):
        path = file_of(tmp_path, table, old)
        pq.write_table(pq.read_table(path).drop_columns(columns), path)
    path = file_of(tmp_path, "runs", old)
    pq.write_table(pq.read_table(path).replace_schema_metadata(), path)
    return tmp_path


def expected(folder):
    """The tables as the files have them, put together by pandas."""
    newest = pd.concat([pq.read_table(path).to_pandas() for path in (folder / "runs").glob("*")])
    newest = newest.sort_values("updated").drop_duplicates("run", keep="last").set_index("run")["stack"]
    found = {}
    for name in list(TABLES)[1:]:
        parts = {path.stem[5:]: pq.read_table(path).to_pandas() for path in (folder / name).glob("*")}
        table = pd.concat([part[part["run"].map(newest) == stack] for stack, part in parts.items()])
        table = table.fillna({"part": "", "examples": 0})
        found[name] = table.sort_values(list(TABLES[name].key), ignore_index=True)
    return found


def test_tables_are_what_the_files_hold(folder):
    results = read(folder)
    assert results.damaged == [] and len(results.runs) == 5
    for name, table in expected(folder).items():
        found = results.table(name)
        pd.testing.assert_frame_equal(found[list(table)], table, check_dtype=False)
        assert list(found)[: len(TABLES[name].key)] == list(TABLES[name].key)
        pd.testing.assert_frame_equal(getattr(results, name), found)


@pytest.mark.parametrize("kept", [False, True])
def test_columns_runs_and_steps_are_those_that_are_asked_for(folder, kept):
    """Whether the table is in memory already or not."""
    results = read(folder)
    if kept:
        assert len(results.layers) and len(results.steps)
    whole, runs = expected(folder), list(results.runs["run"])[1:4]
    rows = whole["layers"][whole["layers"]["run"].isin(runs) & whole["layers"]["step"].isin([0, 4])]
    columns = ["dz_rms", "layer", "run", "part", "dx_rms"]
    found = results.table("layers", columns, runs, [4, 0]).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, rows[columns].reset_index(drop=True), check_dtype=False)
    assert results.table("steps", ["examples"])["examples"].tolist() == whole["steps"]["examples"].tolist()
    assert results.table("layers", ["rebuild_error"])["rebuild_error"].isna().all()
    assert results.table("layers", runs=[]).empty and results.table("layers", runs=["unknown"]).empty
    assert results.table("runs", ["run", "seed"], runs[:1]).shape == (1, 2)
    one = results.select(runs[:1])
    assert set(one.layers["run"]) == set(runs[:1]) == set(one.table("steps", runs=runs)["run"])


def test_what_is_not_known_is_refused_with_the_nearest(folder):
    results = read(folder)
    with pytest.raises(ConfigError, match=r"columns: got 'dz_rm', accepts columns of layers; the nearest is dz_rms"):
        results.table("layers", ["dz_rm"])
    with pytest.raises(ConfigError, match="table: got 'layer', accepts runs, steps, layers"):
        results.table("layer")
    with pytest.raises(ConfigError, match="columns: got 'dz_rms', accepts a list"):
        results.table("layers", "dz_rms")


def test_nothing_is_decoded_before_it_is_asked_for(folder, monkeypatch):
    opened = []
    real = rows_module._rows
    monkeypatch.setattr(rows_module, "_rows", lambda path, *rest: opened.append((path, *rest[:1])) or real(path, *rest))
    results = compare(folder, folder.parent / folder.name / ".")
    results.grid("none")
    trained = results.select(list(results.runs["run"])[:1])
    assert opened == []
    trained.table("layers", ["dz_rms"])
    assert [(path.parent.name, columns) for path, columns in opened] == [("layers", ["dz_rms"])]


def test_a_folder_is_found_from_elsewhere(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(folder.parent)
    results = read(folder.name)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert results.layers["run"].nunique() == 5 and results.damaged == []


def test_what_is_lost_or_damaged_after_it_was_read_is_named_and_skipped(folder):
    results = read(folder)
    first, second, *_ = results.runs["stack"].unique()
    file_of(folder, "layers", first).unlink()
    file_of(folder, "layers", second).write_bytes(b"no parquet")
    left = results.runs[~results.runs["stack"].isin([first, second])]
    assert set(results.table("layers", ["run"])["run"]) == set(left["run"])
    assert set(results.layers["run"]) == set(left["run"])
    named = [line.split(": ")[0] for line in results.damaged]
    assert sorted(named) == sorted(str(file_of(folder, "layers", stack)) for stack in (first, second))


def test_rows_that_moved_to_another_part_are_found_there(tmp_path):
    def write(part, runs, value):
        table = pa.table({"run": runs, "step": [0] * len(runs), "examples": [value] * len(runs)})
        about = {"run": runs, "status": ["done"] * len(runs), "stack": [part] * len(runs), "updated": [1.0] * len(runs)}
        write_parts(tmp_path, part, {"steps": table}, pa.table(about))

    for part in "abc":
        write(part, [part * 3, part * 4], 1)
    results = read(tmp_path)
    write("whole", ["aaa", "aaaa", "bbb", "bbbb"], 2)
    for part in "ab":
        file_of(tmp_path, "runs", part).unlink()
        file_of(tmp_path, "steps", part).unlink()
    assert results.table("steps", ["run", "examples"]).to_numpy().tolist() == [
        *(["aaa", 2], ["aaaa", 2], ["bbb", 2], ["bbbb", 2], ["ccc", 1], ["cccc", 1])
    ]
    assert len(results.table("steps", runs=["aaa"])) == 1 and results.damaged == []


def test_tables_that_are_given_are_kept():
    frame = pd.DataFrame({"run": ["a", "b"], "step": [0, 0], "layer": [1, 1], "dz_rms": [1.0, 2.0]})
    results = Results(frame[["run"]], frame[["run"]], frame, frame[["run"]], frame[["run"]], [Path()])
    assert results.layers is frame and results.select(["b"]).layers["dz_rms"].tolist() == [2.0]
    results.layers = frame.assign(dz_rms=3.0)
    assert results.select(["b"]).table("layers", ["dz_rms"])["dz_rms"].tolist() == [3.0]


@pytest.mark.parametrize("kept", [False, True])
def test_a_quantity_that_was_added_is_read_also_of_runs_without_it(tmp_path, monkeypatch, kept):
    """A row has what its part has, else NaN; whether a quantity is known here or not, and whatever runs are chosen."""
    monkeypatch.setitem(QUANTITIES, "h_l1", Quantity("h", lambda h_MBN: h_MBN.abs().mean((-2, -1))))
    train([small(seed=0, **FULL)], Store(tmp_path))
    monkeypatch.delitem(QUANTITIES, "h_l1")
    train([small(seed=1, **FULL)], Store(tmp_path))
    results = read(tmp_path)
    having, lacking = results.runs.sort_values("seed")["run"]
    assert not kept or "h_l1" in results.layers
    of_hidden = results.table("layers", ["run", "layer", "h_l1"]).query("layer <= 2").groupby("run")["h_l1"]
    assert of_hidden.count()[having] == of_hidden.size()[having] and of_hidden.count()[lacking] == 0
    for some in (results.table("layers", ["h_l1"], [lacking]), results.select([lacking]).table("layers", ["h_l1"])):
        assert len(some) and some["h_l1"].isna().all()
    assert list(results.select([]).table("layers", ["h_l1"])) == ["h_l1"]
    with pytest.raises(ConfigError, match="'h_l2'"):
        results.table("layers", ["h_l2"])
    monkeypatch.setitem(QUANTITIES, "h_l2", Quantity("h", lambda h_MBN: h_MBN.square().mean((-2, -1))))
    assert results.table("layers", ["h_l2"])["h_l2"].isna().all()


def changed(path, **columns):
    table = pq.read_table(path)
    for name, cells in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(cells(table[name].to_pylist())))
    return table


def together(*tables):
    return pa.concat_tables(tables, promote_options="permissive")


ODD = {
    "twice": lambda path: together(pq.read_table(path), pq.read_table(path)),
    "of others too": lambda path: together(pq.read_table(path), changed(path, run=lambda run: ["x"] * len(run))),
    "no part": lambda path: changed(path, part=lambda part: [None] * len(part)),
    "large integers": lambda path: changed(path, z_rms=lambda z: [10**18] * len(z)),
    "no step": lambda path: changed(path, step=lambda step: [math.nan, *step[1:]]),
    "no run": lambda path: changed(path, run=lambda run: [None, *run[1:]]),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_somebody_else_wrote_into_a_part_has_a_row_a_key_or_is_named(folder, odd):
    before = read(folder).layers
    path = next(path for path in sorted((folder / "layers").glob("*")) if "part" in pq.read_schema(path).names)
    pq.write_table(ODD[odd](path), path)
    runs = file_of(folder, "runs", path.stem.removeprefix("part-"))
    pq.write_table(pq.read_table(runs).replace_schema_metadata(), runs)  # as one without checksums
    results = read(folder)
    found = results.layers
    assert not found.duplicated(list(TABLES["layers"].key)).any() and set(found["run"]) <= set(before["run"])
    if odd in ("no run", "no step"):
        assert f"{path}: no table of layers: rows without {odd[3:]}" in results.damaged and len(found) < len(before)
    else:
        assert results.damaged == []
        pd.testing.assert_frame_equal(found.drop(columns="z_rms"), before.drop(columns="z_rms"), check_dtype=False)


def test_of_a_file_of_many_runs_no_more_is_decoded_than_the_groups_of_rows_that_may_have_some(folder, monkeypatch):
    before = read(folder)
    stack, run = before.runs.loc[before.runs["seed"] == 0, ["stack", "run"]].iloc[0]
    path, expected = file_of(folder, "layers", stack), before.table("layers", runs=[run])
    pq.write_table(pq.read_table(path), path, row_group_size=5)
    runs = file_of(folder, "runs", path.stem.removeprefix("part-"))
    pq.write_table(pq.read_table(runs).replace_schema_metadata(), runs)  # as one without checksums
    results, decoded, one = read(folder), [], pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda file, *a, **b: decoded.append(1) or one(file, *a, **b))
    pd.testing.assert_frame_equal(results.table("layers", runs=[run]), expected)
    assert 0 < len(decoded) < pq.ParquetFile(path).num_row_groups
    decoded.clear()
    assert results.table("layers", steps=[-1]).empty and not decoded


def test_rows_of_runs_in_many_files_are_in_order_whatever_that_of_the_files(folder):
    layers = read(folder).layers
    assert layers.equals(layers.sort_values(list(TABLES["layers"].key), ignore_index=True))
    path = next(path for path in sorted((folder / "layers").glob("*")) if "part" in pq.read_schema(path).names)
    backwards = pq.read_table(path)
    pq.write_table(backwards.take(list(reversed(range(len(backwards))))), path)
    runs = file_of(folder, "runs", path.stem.removeprefix("part-"))
    pq.write_table(pq.read_table(runs).replace_schema_metadata(), runs)
    pd.testing.assert_frame_equal(read(folder).layers, layers)
