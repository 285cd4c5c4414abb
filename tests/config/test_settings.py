from dataclasses import fields, make_dataclass

import pytest

from vgexp.config.rules import Rule
from vgexp.config.settings import Field, setting

ANYTHING = Rule(lambda value: True, "anything")


Config = make_dataclass(
    "Config",
    [
        ("number", int, setting(3, "A number.", ANYTHING, member=True)),
        ("names", list, setting(["a"], "Names.", ANYTHING)),
        ("grids", dict, setting({"a": 1}, "Grids.", ANYTHING)),
    ],
)


def test_a_setting_has_its_default_and_what_is_known_of_it():
    assert Config() == Config(3, ["a"], {"a": 1})
    known = [item.metadata["field"] for item in fields(Config)]
    assert known == [
        Field("A number.", ANYTHING, member=True),
        Field("Names.", ANYTHING),
        Field("Grids.", ANYTHING),
    ]


def test_defaults_that_can_be_changed_are_each_configs_own():
    changed = Config()
    changed.names.append("b")
    changed.grids["b"] = 2
    assert Config() == Config(3, ["a"], {"a": 1})


def test_what_nobody_knows_of_a_field_is_refused():
    with pytest.raises(TypeError, match="unheard_of"):
        setting(0, "A number.", ANYTHING, unheard_of=True)
