import pytest

from vgexp.config.errors import ConfigError
from vgexp.config.fields import Run
from vgexp.config.rows import flat
from vgexp.experiments.compose import groups
from vgexp.experiments.overrides import check_keys, check_single, fields_of, first_line, flattened, parse, without


@pytest.mark.parametrize("key", [*flat(Run()), "logger", "only", "rerun", *groups(), "hydra/launcher", "hydra.verbose"])
def test_fields_that_exist(key):
    check_keys([f"{key}=x"], groups())


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("model.depht=3", "did you mean model.depth?"),
        ("+model.depth=3", "did you mean model.depth?"),
        ("loger=none", "did you mean logger?"),
        ("members=[]", "only fields of the config"),
        ("xyz=1", "vgexp train --cfg job"),
    ],
)
def test_fields_that_do_not(override, hint):
    with pytest.raises(ConfigError) as error:
        check_keys(["seed=1", override], groups())
    assert hint in str(error.value)


@pytest.mark.parametrize("override", ["seed=0,1", "seed=range(0,5)", "checkpoint.every=2,revolve(3)"])
def test_choices_where_one_value_is_due(override):
    check_single(["steps=1", "data.range=[0,1]", "checkpoint.every=revolve(3)"])
    field, _, value = override.partition("=")
    with pytest.raises(ConfigError, match=field) as error:
        check_single(["steps=1", override])
    assert value.split(",")[0] in str(error.value)


def test_the_override_that_does_not_parse_is_named():
    with pytest.raises(ConfigError, match=r"command line: got 'optim.lr=\[1'"):
        parse(["seed=0", "optim.lr=[1", "steps=3"])


def test_revolve_is_a_value():
    assert parse(["checkpoint.every=revolve(3)"])[0].value() == "revolve(3)"
    assert list(parse(["checkpoint.every=2,revolve(3)"])[0].sweep_string_iterator()) == ["2", "'revolve(3)'"]


def test_fields_among_arguments():
    arguments = ["-m", "seed=1", "--cfg", "job", "model.depth=3", "--resolve", "~data"]
    assert fields_of(arguments) == ["seed=1", "model.depth=3"]
    assert fields_of(["not_an_override"]) == ["not_an_override"]


def test_the_command_line_replaces_a_grids_field():
    grid = list(flattened(["seed=0,1", ["data.range=[0,1]", ["steps=10"]], "init.name=he"]))
    assert grid == ["seed=0,1", "data.range=[0,1]", "steps=10", "init.name=he"]
    assert without(grid, ["steps=5", "seed=7"]) == ["data.range=[0,1]", "init.name=he"]
    assert without(grid, []) == grid


def test_an_error_in_one_line():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
