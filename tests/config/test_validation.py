from dataclasses import replace

import pytest

from vgexp.config.errors import ConfigError
from vgexp.config.fields import (
    CheckpointConfig,
    DataConfig,
    EvalConfig,
    InitConfig,
    ModelConfig,
    OptimConfig,
    ProbeConfig,
    Run,
)
from vgexp.config.validation import validate


def test_the_nearest_name_is_offered():
    with pytest.raises(ConfigError, match=r"loss: got 'crossentropy', accepts .* \(did you mean cross_entropy\?\)"):
        validate(replace(Run(), loss="crossentropy"), {"loss": ("cross_entropy", "quadratic")})
    with pytest.raises(
        ConfigError, match=r"memory: got 'stor', accepts store, checkpoint, invert \(did you mean store"
    ):
        validate(replace(Run(), memory="stor"), {})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_numbers_that_are_none(value):
    with pytest.raises(ConfigError, match=r"optim\.lr"):
        validate(replace(Run(), optim=OptimConfig(lr=value)), {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ModelConfig(width=[3, 4])}, "model.width: got .*, accepts one integer for each of the 5 layers"),
        ({"probe": ProbeConfig(every=[0, 2000])}, r"probe.every: got .*, accepts steps up to 1000 \(steps\)"),
        ({"eval": EvalConfig(every="often")}, "eval.every: got 'often', accepts never, start"),
        ({"checkpoint": CheckpointConfig("revolve(0)")}, "checkpoint.every: got 'revolve\\(0\\)', accepts an integer"),
        ({"init": InitConfig(scope="some")}, "init.scope: got 'some', accepts all, hidden"),
        ({"seed": 2**32}, "seed: got 4294967296, accepts an integer from 0 to 4294967295"),
        ({"data": DataConfig(seed=-1)}, "data.seed: got -1, accepts an integer from 0 to 4294967295, or null"),
        ({"threads": 0}, "threads: got 0, accepts an integer of at least 1, or null; at most 1024"),
        ({"model": ModelConfig(branch_layers=3)}, "model.branch_layers: got 3, accepts 1 or 2"),
    ],
)
def test_a_bad_value_is_one_line(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate(replace(Run(), **changes), {})


def test_the_defaults_are_accepted():
    validate(Run(), {})
