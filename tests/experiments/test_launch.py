import json
import signal
import sys
from pathlib import Path

import pytest

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.experiments.compose import composer
from vgexp.experiments.launch import job, run, start
from vgexp.results.reading import read

QUICK = ["data.name=digits", "model.depth=2", "model.width=8", "steps=2", "eval.every=never"]


def test_run_returns_what_was_asked_for_and_nothing_else():
    run(*QUICK, "seed=0,1")
    results = run(*QUICK, "seed=1,2")
    assert sorted(results.runs["seed"]) == [1, 2]
    assert set(results.runs["status"]) == {"done"}
    assert sorted(read("results/train").runs["seed"]) == [0, 1, 2]
    assert "vgexp.run(" in read("results/train").commands[-1]


def test_a_job_trains_the_members_of_its_config():
    members = "members=[['seed=3','optim.lr=0.5'],['seed=4','optim.lr=0.25']]"
    with composer() as compose:
        job(compose([*QUICK, members, "name=there"]))
    runs = vgexp.read("results/there").runs.sort_values("seed")
    assert runs["seed"].tolist() == [3, 4]
    assert runs["optim.lr"].tolist() == [0.5, 0.25]
    assert runs["stack"].nunique() == 1


def test_start_leaves_the_process_as_it_was_and_notes_the_command(monkeypatch):
    typed = ["/usr/bin/vgexp", "--import", "a module", "train", "-m", *QUICK, "seed=0,1"]
    monkeypatch.setattr(sys, "argv", list(typed))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    handler = signal.getsignal(signal.SIGTERM)
    assert start([*QUICK, "seed=0,1"]) == Path("results/train")
    assert sys.argv == typed
    assert signal.getsignal(signal.SIGTERM) == handler
    commands = json.loads(Path("results/train/plan.json").read_text())["commands"]
    assert commands == ["vgexp --import 'a module' train -m " + " ".join(QUICK) + " seed=0,1"]
    assert len(read("results/train").runs) == 2


def test_a_look_at_the_config_runs_nothing(capsys):
    assert start(["--cfg", "job", "model.depth=7"]) is None
    assert "depth: 7" in capsys.readouterr().out
    assert not Path("results").exists()


def test_an_error_is_recorded_and_raised(monkeypatch):
    def broken(runs, store):
        raise RuntimeError("no more\nof this")

    monkeypatch.setattr("vgexp.experiments.launch.train", broken)
    with pytest.raises(RuntimeError, match="no more"):
        run(*QUICK)
    [row] = read("results/train").runs.to_dict("records")
    assert (row["status"], row["message"]) == ("failed", "RuntimeError: no more")


def test_bad_input_starts_nothing(monkeypatch):
    monkeypatch.setattr("vgexp.experiments.launch.train", lambda *_: pytest.fail("trained"))
    handler = signal.getsignal(signal.SIGTERM)
    for overrides in (["seed=0,x"], ["model.activation=tanh,tahn"], ["model.depht=3"]):
        with pytest.raises(ConfigError):
            start([*QUICK, *overrides])
    assert signal.getsignal(signal.SIGTERM) == handler
    assert not Path("results").exists()
