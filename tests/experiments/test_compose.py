import dataclasses
from typing import Any, get_type_hints

import pytest

from vgexp.config.errors import ConfigError
from vgexp.config.fields import Run
from vgexp.experiments.compose import TYPES, composer, conf_dir, groups, typed


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
        ("model.depth=deep", "model.depth: got 'deep', accepts an integer"),
        ("threads=many", "threads: got 'many', accepts an integer, or null"),
        ("rerun=perhaps", "rerun: got 'perhaps', accepts true or false"),
        ("optim.lr=[1]", r"optim.lr: got '\[1\]', accepts a number"),
        ("init.sigma_w=big", "init.sigma_w: got 'big', accepts a number, or null"),
        ("optim=adan", "optim: got 'adan', accepts adam, momentum, sgd"),
    ],
)
def test_errors_of_hydra_in_one_line(override, message):
    with composer() as compose, pytest.raises(ConfigError, match=f"^{message}$"):
        typed(compose([override]))


def test_errors_of_members_in_one_line():
    with composer() as compose:
        config = compose([])
    with pytest.raises(ConfigError, match=r"^seed: got '1.5', accepts an integer$"):
        typed(config, ["seed=1.5"])


def test_every_type_of_field_has_words():
    def kinds(config: type) -> Any:
        for kind in get_type_hints(config).values():
            if dataclasses.is_dataclass(kind):
                yield from kinds(kind)
            else:
                yield kind.__name__ if kind in (int, float, bool, str) else str(kind)

    for kind in kinds(Run):
        assert kind in TYPES or kind in ("typing.Any", "dict[str, typing.Any]", "list[str] | None"), kind
