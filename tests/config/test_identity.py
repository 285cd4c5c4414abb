"""Equal meanings, equal ids: the part that knows no registry."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.fields import DataConfig, EvalConfig, ModelConfig, OptimConfig, ProbeConfig, Run
from vgexp.config.identity import canonical, changes, digest
from vgexp.config.schedules import schedule, spelled

SPECS = st.one_of(
    st.sampled_from(["never", "start", "end", "ends", "log"]),
    st.integers(1, 40),
    st.lists(st.integers(0, 30), max_size=8),
)


@given(SPECS, SPECS, st.integers(0, 30), st.sampled_from(["log", "ends", "end"]))
def test_schedules_are_spelled_alike_when_their_steps_are_alike(one, other, steps, default):
    due = [[step for step in range(steps + 1) if schedule(spec, steps)(step)] for spec in (one, other)]
    one, other = ([step for step in spec if step <= steps] if isinstance(spec, list) else spec for spec in (one, other))
    spellings = [spelled(spec, steps, default) for spec in (one, other)]
    assert (spellings[0] == spellings[1]) == (due[0] == due[1])
    assert [step for step in range(steps + 1) if schedule(spellings[0], steps)(step)] == due[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": ModelConfig(width=[7] * 5)}, {"model": ModelConfig(width=7)}),
        ({"data": DataConfig(range=[-1, 1])}, {"data": DataConfig(range=[-1.0, 1.0])}),
        ({"optim": OptimConfig(lr=1)}, {"optim": OptimConfig(lr=1.0)}),
        ({"model": ModelConfig(branch=-0.0)}, {"model": ModelConfig(branch=0.0)}),
        ({"eval": EvalConfig(every=[0, 1000])}, {"eval": EvalConfig(every="ends")}),
        ({"eval": EvalConfig(every=1000)}, {"eval": EvalConfig(every="ends")}),
        ({"probe": ProbeConfig(every=[4, 2, 2]), "steps": 9}, {"probe": ProbeConfig(every=[2, 4]), "steps": 9}),
        ({"probe": ProbeConfig(every="start"), "steps": 0}, {"steps": 0}),
    ],
)
def test_equal_meanings(one, other):
    one, other = replace(Run(), **one), replace(Run(), **other)
    assert json.dumps(canonical(one)) == json.dumps(canonical(other))


def test_what_is_not_read_is_left_at_its_default():
    run = replace(Run(), optim=OptimConfig(momentum=0.5))
    assert changes(run) == {"optim.momentum": 0.5}
    assert changes(run, {"optim.momentum"}) == {}


def test_versions_other_than_1_make_other_runs():
    assert digest({}, {"init.name": 1}) == digest({}, {}) != digest({}, {"init.name": 2})
