import json
from pathlib import Path

import pytest
from samples import small

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.experiments import plan as plans
from vgexp.experiments.compose import composer
from vgexp.experiments.plan import limit, plan, single_run
from vgexp.experiments.sweep import grids
from vgexp.networks.identity import identity

QUICK = ["data.name=digits", "model.depth=2", "model.width=8", "steps=0", "eval.every=never", "name=train"]


def planned(*overrides):
    with composer() as compose:
        return plan(grids(overrides, compose))


def test_a_sweep_is_known_before_anything_is_written():
    found = planned(*QUICK, "model.activation=tanh,relu", "seed=range(0,3)", "max_members=2", "name=here")
    assert found.folder == Path("results/here")
    assert (len(found.runs), [len(job.runs) for job in found.jobs]) == (6, [2, 1, 2, 1])
    assert (found.grids, found.left_out) == ({}, {})
    assert not Path("results").exists()
    found.write("vgexp train here")
    kept = json.loads(Path("results/here/plan.json").read_text())
    assert list(kept["runs"]) == [identity(run) for run in found.runs]
    assert kept["commands"] == {"vgexp train here": list(kept["runs"])}


def test_what_is_done_is_left_out():
    vgexp.run(*QUICK, "seed=0,1")
    again = planned(*QUICK, "seed=range(0,3)")
    assert [[run.seed for run in stack.runs] for stack in again.jobs] == [[2]]
    assert len(again.runs) == 3
    assert [len(stack.runs) for stack in planned(*QUICK, "seed=range(0,3)", "rerun=true").jobs] == [3]


def test_the_grids_of_an_experiment():
    found = planned("experiment=glorot2010", "scale=smoke", "only=[initial,linear]", "seed=0,1")
    assert found.folder == Path("results/glorot2010/smoke")
    assert {name: len(runs) for name, runs in found.grids.items()} == {"initial": 4, "linear": 2}
    assert {run.seed for run in found.runs} == {0, 1}


def test_grids_whose_data_are_not_here_are_left_out():
    found = planned("experiment=glorot2010", "scale=small", "only=[digits_tanh,mnist_tanh]")
    assert list(found.grids) == ["digits_tanh"]
    assert "mnist is not on this computer" in found.left_out["mnist_tanh"]
    with pytest.raises(ConfigError, match="scale: got 'small', accepts a scale with something to run: mnist"):
        planned("experiment=glorot2010", "scale=small", "only=[mnist_tanh]")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["experiment=glorot2010", "scale=huge"], "scale: got 'huge', accepts smoke, small"),
        (["experiment=glorot2010", "scale=smoke", "only=[tahn]"], "only: got 'tahn', accepts plateau"),
        (["scale=smoke"], "no scale: this is no experiment"),
        (["name=a,b"], "name: got .* accepts one folder a sweep"),
        (["data.name=mnist"], "mnist is not on this computer"),
        (["seed=0,1", "init.name=he,hee"], "init.name: got 'hee'"),
    ],
)
def test_what_cannot_be_planned(overrides, message):
    with pytest.raises(ConfigError, match=message):
        planned(*overrides)
    assert not Path("results").exists()


def test_a_single_run_has_no_choices():
    assert single_run(QUICK).model.depth == 2
    with pytest.raises(ConfigError, match="seed: got '0,1', accepts one value"):
        single_run([*QUICK, "seed=0,1"])


def test_a_stack_takes_its_share_of_the_memory(monkeypatch):
    assert limit(small(max_members=7)) == 7
    monkeypatch.setattr(plans, "_memory", lambda _: 10**9)
    most = limit(small())
    monkeypatch.setattr(plans, "_memory", lambda _: 2 * 10**9)
    assert 2 * most <= limit(small()) <= 2.2 * most
    assert limit(small(model__width=1200)) < most / 50
    assert most / 2.2 <= limit(small(jobs=4)) <= most / 2
    monkeypatch.setattr(plans, "_memory", lambda _: 1)
    assert limit(small()) == 1
