"""Results on disk: atomic, readable while running, resumable at any point."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from samples import small

import vgexp
from vgexp.experiments.launch import train_stack
from vgexp.networks.identity import identity
from vgexp.results.errors import StorageError
from vgexp.results.locks import alone, held
from vgexp.results.plans import read_plan
from vgexp.results.reading import read
from vgexp.results.status import judged_rows
from vgexp.results.writing import Store, stack_id
from vgexp.training import loop as train_module
from vgexp.training.loop import Interrupted, Training, train

SWEEP = [
    "data=digits",
    "model.depth=3",
    "model.width=48",
    "model.activation=tanh,relu",
    "seed=range(0,2)",
    "steps=4000",
    "optim=momentum",
    "probe=full",
    "probe.every=40",
    "probe.histograms=1000",
    "eval.every=500",
]


def assert_same(one, other):
    for name, table in one.comparable().items():
        expected = other.comparable()[name].drop(columns=["folder", "name"], errors="ignore")
        table = table.drop(columns=["folder", "name"], errors="ignore")
        pd.testing.assert_frame_equal(table, expected[list(table.columns)], check_dtype=False)


def test_interrupting_at_any_step_and_resuming_changes_nothing(monkeypatch):
    """Stops after every third step; state and tables go through the disk each time."""
    run = small(optim__name="adam", probe__every=2, probe__tier="full", probe__histograms=5, eval__every=4)
    runs = [run, replace(run, seed=1)]
    train(runs, Store(Path("whole")))
    for _ in range(20):
        training = Training(runs, Store(Path("parts")))
        for _ in range(3):
            if training.step <= run.steps:
                training.observe_and_update()
        if training.step > run.steps:
            training.save("done")
            break
        training.save()
    assert_same(read("parts"), read("whole"))
    assert len(read("parts").layers) == len(read("whole").layers)


def test_sigterm_finishes_the_step_saves_and_resumes(monkeypatch):
    run = small(steps=30)
    train([run], Store(Path("whole")))
    step = Training.observe_and_update

    def interrupted(self):
        if self.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(train_module.Training, "observe_and_update", interrupted)
        train_stack([run], Store(Path("parts")))
    results = read("parts")
    assert list(results.runs["status"]) == ["running"]
    assert results.layers["step"].max() == 7
    train([run], Store(Path("parts")))
    assert_same(read("parts"), read("whole"))


@pytest.mark.slow
def test_kill_9_half_way_then_the_same_command(tmp_path):
    command = [sys.executable, "-m", "vgexp", "train", "-m", *SWEEP]
    environment = os.environ | {"VGEXP_CHECKPOINT_SECONDS": "0.2", "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "name=whole"], check=True, env=environment, capture_output=True)
    for kill_after_parts in (1, 2):
        process = subprocess.Popen([*command, "name=killed"], env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            states = list(Path("results/killed").glob("state/*.pt"))
            parts = list(Path("results/killed").glob("steps/*.parquet"))
            if states and len(parts) >= kill_after_parts:
                break
            time.sleep(0.01)
        assert process.poll() is None, "the sweep was over before it could be killed"
        process.kill()
        process.wait()
        state = read("results/killed")
        assert "running" in set(state.runs["status"])
        assert state.damaged == []
    subprocess.run([*command, "name=killed"], check=True, env=environment, capture_output=True)
    assert_same(read("results/killed"), read("results/whole"))
    assert set(read("results/killed").runs["status"]) == {"done"}


def test_asking_twice_trains_once(monkeypatch):
    overrides = ("data=digits", "model.width=8", "model.depth=2", "seed=0,1", "steps=5")
    first = vgexp.run(*overrides)
    monkeypatch.setattr("vgexp.training.train", lambda *_: pytest.fail("trained again"))
    again = vgexp.run(*overrides)
    assert_same(first, again)
    assert set(again.runs["updated"]) == set(first.runs["updated"])


def test_a_grown_sweep_trains_what_is_missing_and_rerun_trains_all():
    base = ("data=digits", "model.width=8", "model.depth=2", "steps=5", "name=grown")
    first = vgexp.run(*base, "seed=0,1")
    grown = vgexp.run(*base, "seed=range(0,3)")
    stamps = dict(zip(grown.runs["run"], grown.runs["updated"], strict=True))
    assert all(stamps[run] == at for run, at in zip(first.runs["run"], first.runs["updated"], strict=True))
    again = vgexp.run(*base, "seed=range(0,3)", "rerun=true")
    assert (again.runs["updated"] > grown.runs["updated"].max()).all()
    assert_same(again, grown)
    assert len(again.layers) == len(grown.layers)


def test_a_damaged_state_starts_again(capsys):
    run = small()
    training = Training([run], Store(Path("here")))
    training.observe_and_update()
    training.save()
    state = Path("here/state") / f"{stack_id([run])}.pt"
    state.write_bytes(state.read_bytes()[:50])
    train([run], Store(Path("here")))
    assert "its runs start again" in capsys.readouterr().err
    assert len(read("here").steps) == 11


def test_a_failure_is_recorded_and_trained_again_next_time(monkeypatch):
    run = small()
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "baddbmm_", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no luck")))
        patch.setattr(torch.Tensor, "addcmul_", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no luck")))
        with pytest.raises(RuntimeError, match="no luck"):
            train_stack([run], Store(Path("here")))
    results = read("here")
    assert list(results.runs["status"]) == ["failed"]
    assert results.runs["message"].iloc[0] == "RuntimeError: no luck"
    assert Store(Path("here")).done() == set()
    train_stack([run], Store(Path("here")))
    assert Store(Path("here")).done() == {identity(run)}


def test_a_state_that_cannot_be_removed_is_no_failure_of_its_runs(monkeypatch):
    def refused(self, missing_ok=False):
        if self.suffix == ".pt":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        unlink(self, missing_ok)

    unlink = Path.unlink
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        with pytest.raises(StorageError, match="state"):
            vgexp.run("data=digits", "model.depth=2", "model.width=8", "steps=2", "name=kept")
    assert "failed" not in set(read("results/kept").runs["status"])
    done = vgexp.run("data=digits", "model.depth=2", "model.width=8", "steps=2", "name=kept")
    assert list(done.runs["status"]) == ["done"]
    assert not list(Path("results/kept/state").glob("*.pt"))


def test_nothing_is_unpickled(tmp_path):
    """A state with code in it is refused."""

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    store = Store(tmp_path)
    (tmp_path / "state").mkdir()
    torch.save({"step": Bomb()}, tmp_path / "state" / "x.pt")
    assert store.load_state("x") is None


def test_states_of_two_workers_do_not_disturb_each_other(tmp_path):
    """One drops its state, the last in the folder, while the other is about to write its own."""
    store = Store(tmp_path)

    def work(stack):
        for step in range(100):
            store.save_state(stack, {"step": step})
            assert (store.load_state(stack) or {})["step"] == step
            store.drop_state(stack)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("a", "b")))
    assert not list((tmp_path / "state").glob("*"))


def asked_again(store, *runs):
    """As `rerun=true` does it."""
    rows = judged_rows(store.folder, {})
    store.plan(runs, {}, "vgexp train", again={identity(run): rows[identity(run)]["updated"] for run in runs})


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_a_rerun_counts_whatever_the_clock_of_the_computer(ahead, monkeypatch):
    """Of a worker whose clock is behind or ahead, in another stack than the one in which the run was."""
    runs, store = [small(steps=2, seed=seed) for seed in (0, 1)], Store(Path("here"))
    with monkeypatch.context() as patch:
        now = time.time() + max(ahead, 0.0)
        patch.setattr("vgexp.results.writing.time.time", lambda: now)
        train(runs, store)
    asked_again(store, runs[0])
    assert store.done() == {identity(runs[1])}
    with monkeypatch.context() as patch:
        now = time.time() + min(ahead, 0.0)
        patch.setattr("vgexp.results.writing.time.time", lambda: now)
        train(runs[:1], store)
    assert store.done() == set(map(identity, runs))


def test_what_others_compute_or_have_written_since_is_not_asked_for_again():
    """Of two terminals with `rerun=true`: the plan of the second falls into the work of the first."""
    runs, store = [small(steps=2, seed=seed) for seed in (0, 1, 2)], Store(Path("here"))
    train(runs, store)
    seen = {run: row["updated"] for run, row in judged_rows(store.folder, {}).items()}
    asked_again(store, *runs)
    train(runs[:1], store)
    store.plan(runs, {}, "vgexp train", again=seen)
    assert store.done() == {identity(runs[0])}
    again = read_plan(store.folder)["again"]
    with ExitStack() as block:
        with alone(store.folder):
            block.enter_context(held(store.folder, "stack", [identity(runs[1])]))
        store.plan(runs, {}, "vgexp train", again=seen)
    later = read_plan(store.folder)["again"]
    assert [later[run] > again[run] for run in map(identity, runs)] == [False, False, True]


def test_a_file_that_was_mended_since_is_not_set_aside():
    """Of two terminals that find the same damage: the second has its plan when the first is done."""
    run, store = small(steps=2), Store(Path("here"))
    train([run], store)
    [path] = Path("here/layers").iterdir()
    whole = path.read_bytes()
    path.write_bytes(b"x")
    damaged: dict[Path, str] = {}
    [row] = judged_rows(store.folder, damaged).values()
    assert row["status"] == "failed" and list(damaged) == [path]
    again = {identity(run): row["updated"]}
    train([run], store)
    store.plan([run], {}, "vgexp train", again=again, damaged=damaged)
    assert store.done() == {identity(run)} and path.read_bytes() == whole


def test_a_clock_that_is_behind_loses_nothing(monkeypatch):
    """Of a worker on another computer than the one on which a run was asked for again."""
    run = small(steps=4)
    store = Store(Path("here"))
    train([run], store)
    asked_again(store, run)
    assert store.done() == set()
    late = time.time() - 100.0
    monkeypatch.setattr("vgexp.results.writing.time.time", lambda: late)
    training = Training([run], store)
    assert training.step == 0
    training.observe_and_update()
    training.save()
    assert Training([run], store).step == 1
    train([run], store)
    assert store.done() == {identity(run)}
