"""The loop: observe, then update."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from samples import small

from vgexp.results.reading import read
from vgexp.results.writing import Store
from vgexp.training import loop
from vgexp.training.loop import Training, describe, prepare, train


def test_the_last_step_is_observed_and_not_updated(train_all):
    """T steps are T updates: the weights after T = 3 are those that T = 4 observes at its step 3."""
    three, four = train_all(small(steps=3)), train_all(small(steps=4))
    rows = four.records.tables()["layers"].query("step == 3")["w_rms"]
    weights = [part.tensors["weight"].detach() for part in three.stack.network.parts.values()]
    assert list(rows) == pytest.approx([float(w.square().mean().sqrt()) for w in weights], rel=1e-12)
    assert four.done and four.step == 5


def test_an_observed_step_takes_the_update_that_an_unobserved_one_takes(train_all):
    often, never = train_all(small()), train_all(small(probe__every="never"))
    assert list(never.records.tables()) == []
    for key, part in often.stack.network.parts.items():
        assert torch.equal(part.tensors["weight"], never.stack.network.parts[key].tensors["weight"])


def test_what_is_on_disk_is_what_was_recorded(train_all):
    run = small(probe__tier="full", eval__every="end")
    train([run], Store(Path("here")))
    recorded = train_all(run).records.tables()
    found = read("here").comparable()
    for name in ("steps", "layers"):
        pd.testing.assert_frame_equal(found[name], recorded[name][found[name].columns], check_dtype=False)
    assert len(found["histograms"]) == len(recorded["histograms"])
    assert read("here").runs["step"].tolist() == [run.steps]  # T updates give T + 1 observations


def test_a_failure_leaves_no_stop_handler(monkeypatch):
    import signal

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(Training, "observe_and_update", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train([small()], Store(Path("here")))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_training_has_its_threads(monkeypatch):
    found = []
    monkeypatch.setattr(Training, "observe_and_update", lambda self: found.append(torch.get_num_threads()) or 1 / 0)
    for run in (small(threads=2), small()):
        with pytest.raises(ZeroDivisionError):
            train([run], Store(Path("here")))
    assert found == [2, 1]


@pytest.mark.parametrize(("memory", "strict"), [("store", False), ("checkpoint", True)])
def test_only_low_memory_modes_are_strict_about_memory(memory, strict, monkeypatch):
    asked = []
    monkeypatch.setattr(loop, "return_freed_memory", lambda: asked.append(True))
    prepare([small(memory=memory)])
    assert not asked  # a small network
    monkeypatch.setattr(loop, "STRICT_BYTES", 1)
    prepare([small(memory=memory)])
    assert bool(asked) == strict


def test_what_diverged_is_said_in_one_line(capsys):
    base = small(steps=4, loss="quadratic")
    runs = [replace(base, seed=seed, optim=replace(base.optim, lr=lr)) for lr in (0.03, 1e200) for seed in (0, 1)]
    train(runs, Store(Path("here")))
    [line] = [line for line in capsys.readouterr().err.splitlines() if "diverged" in line]
    named = "seed=0 optim.lr=1e+200 at step 1; seed=1 optim.lr=1e+200 at step 1"
    assert line == f"tanh 3 x 12, 4 runs: 2 of 4 diverged: {named}"
    train(runs[:1], Store(Path("there")))
    assert "diverged" not in capsys.readouterr().err
    train(runs[2:3], Store(Path("there")))
    assert "1 of 1 diverged: at step 1\n" in capsys.readouterr().err


def test_a_stack_in_a_few_words():
    run = small()
    assert describe([run]) == "tanh 3 x 12, 1 run"
    assert describe([run, replace(run, seed=1)]) == "tanh 3 x 12, 2 runs"
