import pytest

from vgexp.config.errors import ConfigError
from vgexp.config.fields import Run
from vgexp.config.rows import flat
from vgexp.experiments.compose import groups
from vgexp.experiments.overrides import (
    check_keys,
    check_single,
    choices,
    flattened,
    latest,
    parse,
    quoted,
    without,
)


@pytest.mark.parametrize(
    "key", [*flat(Run()), "logger", "only", "rerun", *groups(), "hydra/launcher", "hydra.launcher.n_jobs"]
)
def test_fields_that_exist(key):
    check_keys([f"{key}=x"], groups())


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("model.depht=3", "did you mean model.depth?"),
        ("+model.depth=3", "model.depth=value alone"),
        ("++seed=1", "seed=value alone"),
        ("~seed", "seed=value alone"),
        ("model@data=deep", "only fields of the config"),
        ("hydra.run.dir=x", "hydra/launcher and hydra.launcher.* only"),
        ("hydra/sweeper=basic", "hydra/launcher and hydra.launcher.* only"),
        ("hydra.launcher._target_=os.system", "hydra/launcher and hydra.launcher.* only"),
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


@pytest.mark.parametrize("override", ["optim.lr=[1", "", "=3", "seed", "seed=foo(3)", "name='a", "seed=choice()"])
def test_the_override_that_does_not_parse_is_named(override):
    with pytest.raises(ConfigError) as error:
        parse(["seed=0", override, "steps=3"])
    assert str(error.value).startswith(f"override: got {override!r}, accepts field=value")


def test_choices_are_listed():
    [steps, seed, width] = parse(["steps=3", "seed=range(0,6,2)", "model.width=[1,2],[3]"])
    assert choices(steps) == ["steps=3"]
    assert choices(seed) == ["seed=0", "seed=2", "seed=4"]
    assert choices(width) == ["model.width=[1,2]", "model.width=[3]"]


@pytest.mark.parametrize("text", ["range(0,0)", "range(0,3,0)", "glob(*)", "interval(0,1)"])
def test_choices_that_cannot_be_listed(text):
    with pytest.raises(ConfigError) as error:
        choices(parse([f"seed={text}"])[0])
    assert str(error.value).startswith(f"seed: got '{text}', accepts a list of choices")


def test_the_last_of_a_field_counts():
    assert latest(["optim.lr=x", "seed=0", "optim.lr=0.1,0.2"]) == ["seed=0", "optim.lr=0.1,0.2"]
    assert latest(["seed=0", "seed=0"]) == ["seed=0"]


def test_revolve_is_a_value():
    assert parse(["checkpoint.every=revolve(3)"])[0].value() == "revolve(3)"
    assert list(parse(["checkpoint.every=2,revolve(3)"])[0].sweep_string_iterator()) == ["2", "'revolve(3)'"]


def test_the_command_line_replaces_a_grids_field():
    grid = list(flattened(["seed=0,1", ["data.range=[0,1]", ["steps=10"]], "init.name=he"]))
    assert grid == ["seed=0,1", "data.range=[0,1]", "steps=10", "init.name=he"]
    assert without(grid, ["steps", "seed"]) == ["data.range=[0,1]", "init.name=he"]
    assert without(grid, []) == grid


def test_a_grid_holds_text():
    with pytest.raises(ConfigError, match=r"^scales: got 3, accepts lists of overrides"):
        list(flattened(["seed=0", ["steps=0", 3]]))


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("name=größer", "größer"),
        ("name=mein größerer versuch", "mein größerer versuch"),
        ("name='größer'", "größer"),
        ('name="größer (b)"', "größer (b)"),
        ("name=größer/klein", "größer/klein"),
        ("name=更深", "更深"),
        ("name='revolve(3)'", "revolve(3)"),
        ("checkpoint.every=revolve(3)", "revolve(3)"),
        ("model.branch=1/sqrt(L)", "1/sqrt(L)"),
        ("data.range=[-1,1]", [-1, 1]),
    ],
)
def test_letters_of_every_language_need_no_quotes(typed, value):
    [override] = parse([typed])
    found = override.value()
    assert getattr(found, "text", found) == value
    assert parse([quoted(typed)])[0].input_line == override.input_line


def test_choices_of_every_language():
    assert choices(parse(["name=größer, 更深,b"])[0]) == ["name='größer'", "name='更深'", "name=b"]


def test_a_long_value_takes_no_time():
    for letter in "xü":
        word = letter * 10**6  # so long that looking ahead from each letter would never end
        assert quoted(f"name={word}").strip("'") in (f"name={word}", f"name='{word}")
