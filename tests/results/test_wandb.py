"""With the real library, offline: what it wrote is read from its files."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from samples import small

import vgexp
from vgexp.results import wandb
from vgexp.results.reading import read
from vgexp.results.scalars import by_run
from vgexp.results.writing import Store
from vgexp.training.loop import Training
from vgexp.training.loop import train as train_runs

BLOCK = 2**15
"""Bytes of a block of the log that wandb writes, which has LevelDB's format."""


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "w"))
    (tmp_path / "w").mkdir()


def records(file):
    """The records of a log."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, payload = file.read_bytes(), 7, b""
    while at < len(content):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        payload += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(payload)
            payload = b""


def logged(folder):
    """Of each run of wandb, in the order of their names: what it is, its config, and name -> {step: value}."""
    found = []
    for file in sorted(folder.rglob("*.wandb")):
        made, config, artifacts, history = None, {}, [], {}
        for record in records(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                made = record.run
                config |= {item.key: json.loads(item.value_json) for item in made.config.update}
            elif kind == "artifact":
                artifacts.append(record.artifact)
            elif kind == "history":
                items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                for name, value in items.items():
                    if not name.startswith("_"):
                        history.setdefault(name, {})[items["_step"]] = value
        found.append((made, config, artifacts, history))
    return found


def test_each_member_is_a_run_of_one_group_with_its_config_and_scalars(tmp_path):
    run = small(steps=3, logger="wandb", name="depths", optim__lr=0.5)
    train_runs([run, replace(run, seed=1)], Store(tmp_path / "results" / "depths"))
    results = read(tmp_path / "results" / "depths")
    expected = dict(by_run(results.tables()))
    found = logged(tmp_path / "w")
    assert {made.display_name for made, *_ in found} == set(results.runs["run"])
    assert {(made.project, made.run_group) for made, *_ in found} == {("vgexp", f"{tmp_path}/results/depths"[-128:])}
    assert {config["seed"] for _, config, *_ in found} == {0, 1}
    for made, config, _, history in found:
        assert (config["optim.lr"], config["model.family"]) == (0.5, "plain")
        assert "diverged_at" not in config
        there = {(step, name): value for name, values in history.items() for step, value in values.items()}
        assert there == {(scalar.step, scalar.name): scalar.value for scalar in expected[made.display_name]}


def test_a_run_that_is_taken_up_keeps_its_id_and_one_that_is_computed_again_has_another(tmp_path, monkeypatch):
    run, store = small(steps=6, logger="wandb"), Store(tmp_path / "here")
    part = Training([run], store)
    for _ in range(3):
        part.observe_and_update()
    with part.saves.logged():
        part.save()
    train_runs([run], store)
    first, second = logged(tmp_path / "w")
    assert first[0].run_id == second[0].run_id
    assert (set(first[3]["train_loss"]), set(second[3]["train_loss"])) == ({0, 1, 2}, {3, 4, 5, 6})
    monkeypatch.setattr("time.time", lambda: 1e9)
    train_runs([run], Store(tmp_path / "there"))
    assert {made.run_id for made, *_ in logged(tmp_path / "w")} == {
        first[0].run_id,
        f"{first[0].display_name}-3b9aca00",
    }


def test_the_page_of_a_sweep_is_an_artifact_at_its_end(tmp_path):
    vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=1", "seed=0,1", "name=a/b", "logger=wandb")
    *members, report = sorted(logged(tmp_path / "w"), key=lambda one: one[0].job_type)
    assert len(members) == 2 and {made.run_group for made, *_ in (*members, report)} == {"a/b"}
    assert not any(artifacts for _, _, artifacts, _ in members)
    [artifact] = report[2]
    assert (artifact.type, artifact.name) == ("report", "a-b")
    [entry] = artifact.manifest.contents
    assert entry.path == "report.html" and entry.size > 1e5 and Path(entry.local_path).is_relative_to(tmp_path)
    assert not (tmp_path / "results/a/b/report.html").exists()


def test_an_environment_that_wandb_does_not_take(monkeypatch):
    code = "import vgexp; vgexp.run('data=digits', 'model.depth=2', 'model.width=4', 'steps=0', 'logger=wandb')"
    environment = os.environ | {"WANDB_MODE": "foo"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "ConfigError: logger: got 'ValidationError" in done.stderr and not Path("results").exists()


def test_without_the_library_or_without_a_login_it_says_what_to_do(tmp_path, monkeypatch):
    wandb.needs.cache_clear()
    monkeypatch.setattr(wandb.importlib.util, "find_spec", lambda name: None)
    assert wandb.needs() == "`pip install 'vgexp[wandb]'`"
    wandb.needs.cache_clear()
    code = "from vgexp.results.wandb import needs; print('needs', needs())"
    alone = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    alone |= {"HOME": str(tmp_path), "WANDB_ERROR_REPORTING": "false"}
    said = subprocess.run([sys.executable, "-c", code], env=alone, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "needs `wandb login`, or WANDB_MODE=offline"
