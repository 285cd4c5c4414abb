from types import FunctionType

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase

from vgexp.config.errors import ConfigError
from vgexp.config.fields import Run
from vgexp.experiments.compose import composer, conf_dir, groups, typed, understood
from vgexp.experiments.launch import run
from vgexp.experiments.prediction import predict
from vgexp.experiments.sweep import grids


def test_no_overrides_give_the_defaults():
    with composer() as compose:
        assert typed(compose([])) == Run()


def test_groups_bundle_fields():
    assert groups() == ["data", "experiment", "model", "optim", "probe"]
    with composer() as compose:
        run = typed(compose(["model=deep", "optim=adam", "optim.lr=0.5"]))
    assert (run.model.depth, run.model.width, run.optim.name, run.optim.lr) == (50, 64, "adam", 0.5)
    assert (conf_dir() / "experiment" / "glorot2010.yaml").exists()


def test_overrides_of_members_come_after_the_composition():
    with composer() as compose:
        config = compose(["model.depth=3"])
    assert typed(config, ["seed=4", "init.sigma_w=1.5"]).init.sigma_w == 1.5
    assert typed(config).init.sigma_w is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.depth=deep", "model.depth: got 'deep', accepts an integer of at least 1"),
        ("threads=many", "threads: got 'many', accepts an integer of at least 1, or null; at most 1024"),
        ("rerun=perhaps", "rerun: got 'perhaps', accepts true or false"),
        ("optim.lr=[1]", r"optim.lr: got '\[1\]', accepts a number of at least 0"),
        ("init.sigma_w=big", "init.sigma_w: got 'big', accepts a positive number, or null for the law's own"),
        ("optim=adan", "optim: got 'adan', accepts adam, momentum, sgd"),
    ],
)
def test_errors_of_hydra_in_one_line(override, message):
    with composer() as compose, pytest.raises(ConfigError, match=f"^{message}$"):
        typed(compose([override]))


@pytest.mark.parametrize("override", ["optim.lr=1{}", "data.range=[0,1{}]", "seed=range(0,1{})", "model.branch=1{}"])
def test_integers_beyond_all_floats(override):
    with composer() as compose, pytest.raises(ConfigError, match=override.split("=")[0]):
        grids([override.format("0" * 320)], compose)


def test_errors_of_members_in_one_line():
    with composer() as compose:
        config = compose([])
    with pytest.raises(ConfigError, match=r"^seed: got '1.5', accepts an integer from 0 to 4294967295$"):
        typed(config, ["seed=1.5"])


def test_the_callers_hydra_is_left_as_it_was():
    """A script with a Hydra app of its own may train and predict, also where that raises."""
    with initialize_config_dir(str(conf_dir()), version_base="1.2"):
        theirs, version = GlobalHydra.instance().hydra, VersionBase.instance().version_base
        run(*["data=digits", "model.depth=2", "model.width=8", "steps=0", "eval.every=never"])
        predict("data=digits", "model.depth=2", "model.width=8")
        with pytest.raises(ConfigError):
            predict("model.depht=2")
        assert GlobalHydra.instance().hydra is theirs and VersionBase.instance().version_base == version
    GlobalHydra.instance().clear()
    with composer():
        assert GlobalHydra.instance().is_initialized()
    assert not GlobalHydra.instance().is_initialized()


def test_an_error_of_our_own_is_not_taken_for_a_bad_value():
    def raises():
        raise KeyError("ours")

    ours = FunctionType(raises.__code__, {"__name__": "vgexp.somewhere", "KeyError": KeyError})
    with pytest.raises(KeyError, match="ours"), understood(["seed=1"]):
        ours()
    theirs = FunctionType(raises.__code__, {"__name__": "hydra.somewhere", "KeyError": KeyError})
    with pytest.raises(ConfigError, match="ours"), understood(["seed=1"]):
        theirs()
