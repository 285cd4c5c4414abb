import subprocess
import sys
from pathlib import Path

import pytest
from samples import small

from vgexp.networks.identity import identity
from vgexp.results import status
from vgexp.results.errors import ResultsError
from vgexp.results.status import STATUSES, folder_status, judged_rows, statuses
from vgexp.results.writing import Store, runs_frame, stack_id
from vgexp.training.loop import train


def write(store, run, status, **columns):
    stack = stack_id([run])
    store.write(stack, {}, runs_frame([run], stack, status=status, message="", **columns))


def test_every_planned_run_has_a_status_its_config_and_its_error(tmp_path):
    store, runs = Store(tmp_path), [small(seed=seed) for seed in range(4)]
    store.plan(runs[:2], {}, "vgexp train some")
    store.plan(runs[2:], {}, "vgexp train others")
    write(store, runs[0], "done", step=11)
    write(store, runs[1], "running", step=3)
    store.fail([runs[2]], "ValueError: broken")
    with store.hold([runs[1]]):
        found = folder_status(tmp_path)
    expected = [(runs[0], "done", 11), (runs[1], "running", 3), (runs[2], "failed", None), (runs[3], "missing", None)]
    assert [(row.run, row.status, row.step) for row in found.runs] == [
        (identity(run), status, step) for run, status, step in expected
    ]
    assert sorted(row.status for row in found.runs) == sorted(STATUSES)
    assert [row.message for row in found.runs] == ["", "", "ValueError: broken", ""]
    assert "seed=2" in found.runs[2].changes and "model.depth=3" in found.runs[3].changes


def test_to_go_on_are_the_commands_that_lack_runs(tmp_path):
    store, runs = Store(tmp_path), [small(seed=seed) for seed in range(3)]
    for run in runs:
        store.plan([run], {}, f"vgexp train seed={run.seed}")
    write(store, runs[0], "done", step=11)
    write(store, runs[2], "done", step=11)
    assert folder_status(tmp_path).commands == ["vgexp train seed=1"]
    write(store, runs[1], "done", step=11)
    assert folder_status(tmp_path).commands == []


def test_runs_that_nobody_planned_are_shown_too(tmp_path):
    write(Store(tmp_path), small(), "done", step=11)
    assert [row.status for row in folder_status(tmp_path).runs] == ["done"]


def test_a_step_may_be_missing_in_any_way():
    rows = [{"run": "a", "status": "done", "step": float("nan")}, {"run": "b", "status": "failed", "message": "why"}]
    assert [(row.step, row.message) for row in statuses({}, rows)] == [(None, ""), (None, "why")]


def test_a_plan_of_nothing(tmp_path):
    Store(tmp_path).plan([], {}, "vgexp train")
    assert folder_status(tmp_path).runs == []
    with pytest.raises(ResultsError, match="no results here"):
        folder_status(tmp_path / "nowhere")


def test_what_is_asked_for_again_is_missing_until_it_began_anew(tmp_path):
    store, run = Store(tmp_path), small()
    write(store, run, "done", started=100.0)
    [row] = judged_rows(tmp_path, {}).values()
    store.plan([run], {}, "vgexp train", again={identity(run): row["updated"]})
    assert judged_rows(tmp_path, {})[identity(run)]["status"] == "missing"
    write(store, run, "running", started=1e12)
    assert judged_rows(tmp_path, {})[identity(run)]["status"] == "running"
    write(store, run, "done", started=1e12)
    assert store.done() == {identity(run)}


def test_status_loads_neither_pandas_nor_torch():
    code = "import sys; from vgexp.results import folder_status; print({'pandas', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_running_is_only_what_a_process_computes(tmp_path):
    """Also before it has written a row; what was left is missing, with the step that it got to."""
    store, runs = Store(tmp_path), [small(seed=seed) for seed in range(3)]
    store.plan(runs, {}, "vgexp train")
    write(store, runs[0], "running", step=3)
    assert [(row.status, row.step) for row in folder_status(tmp_path).runs] == [
        ("missing", 3),
        *[("missing", None)] * 2,
    ]
    before = sorted(tmp_path.rglob("*"))
    with store.hold([runs[0], runs[1]]):
        held = sorted(tmp_path.rglob("*"))
        assert [row.status for row in folder_status(tmp_path).runs] == ["running", "running", "missing"]
        assert sorted(tmp_path.rglob("*")) == held
    assert [row.status for row in folder_status(tmp_path).runs] == ["missing"] * 3
    assert sorted(tmp_path.rglob("*")) == before


def test_time_left_is_that_of_the_runs_done_and_shared_by_the_stacks_that_run(tmp_path):
    store, runs = Store(tmp_path), [small(seed=seed) for seed in range(6)]
    store.plan(runs, {}, "vgexp train")
    pair = runs_frame(runs[:2], "pair", status="done", message="", started=100.0)
    store.write("pair", {}, pair.assign(updated=120.0))  # 10 s a run
    assert folder_status(tmp_path).seconds_left is None  # nothing runs
    with store.hold([runs[2]]):
        assert folder_status(tmp_path).seconds_left == pytest.approx(4 * 10)
        with store.hold([runs[3]]):
            assert folder_status(tmp_path).seconds_left == pytest.approx(4 * 10 / 2)


def test_of_a_large_folder_the_ends_of_the_files_are_looked_at(tmp_path, monkeypatch):
    """A byte that changed in the middle is found in a small one only, a file that is cut off or lost in any."""
    train([small(steps=2)], Store(tmp_path))
    [path] = (tmp_path / "layers").glob("part-*")
    whole = path.read_bytes()
    middle = 40  # of what the columns hold, which is short here beside the end
    for content, in_small, in_large in (
        (whole, "done", "done"),
        (whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :], "failed", "done"),
        (whole[:-9], "failed", "failed"),
        (None, "failed", "failed"),
    ):
        path.unlink() if content is None else path.write_bytes(content)
        size = sum(file.stat().st_size for file in tmp_path.glob("*/part-*"))
        for quick, expected in ((size, in_small), (size - 1, in_large)):
            monkeypatch.setattr(status, "QUICK", quick)
            found = folder_status(tmp_path)
            assert [run.status for run in found.runs] == [expected]
            assert [*found.damaged] == ([path] if expected == "failed" else [])


def test_tables_that_go_away_while_they_are_listed_do_not_count(monkeypatch, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/part-a.parquet").write_bytes(b"abc")
    gone = tmp_path / "runs/part-b.parquet"
    monkeypatch.setattr(
        Path, "glob", lambda folder, _: [folder / "part-a.parquet", gone] if folder.name == "runs" else []
    )
    assert status._size(tmp_path) == 3
