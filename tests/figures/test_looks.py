from itertools import product

import numpy as np
import pandas as pd
import pytest

from vgexp.config import FIELDS
from vgexp.config.errors import ConfigError
from vgexp.figures import looks
from vgexp.figures.looks import CHUNK, FEW, arrange, field_named, fields_of, in_word, in_words, numbered


def frame(**fields):
    """A row for each combination of the values of the fields, dots written as `__`; `depth` is no part of the group."""
    names = [name.replace("__", ".") for name in fields]
    rows = pd.DataFrame(list(product(*fields.values())), columns=names)
    words = rows.drop(columns="depth", errors="ignore").map(str)
    return rows.assign(group=words.agg(", ".join, axis=1) if len(words.columns) else "all")


def pairs(arranged):
    """Row of panels, color, mark and its filling of every series."""
    return [(facet, tuple(np.ravel(look.color)), look.marker, look.fill) for facet, look in arranged.series.values()]


CASES = {
    "1": {"model__activation": "a"},
    "8": {"model__activation": "abcdefgh"},
    "9": {"model__activation": "abcdefghi"},
    "17": {"model__activation": "abcdefghijklmnopq"},
    "200 names": {"model__activation": [f"name {i}" for i in range(200)]},
    "200 numbers": {"optim__lr": np.geomspace(1e-6, 1, 200)},
    "12": {"model__activation": "abc", "init__name": "abcd"},
    "200": {"model__activation": "abcde", "init__name": "abcd", "optim__lr": range(10)},
    "243": {
        "model__activation": "abc",
        "init__name": "abc",
        "model__norm": "abc",
        "seed": [0],
        "model__family": "abc",
        "data__name": "abc",
    },
    "depths": {"model__activation": "ab", "depth": [3, 5, 20]},
    "depths alone": {"depth": [3, 5, 20]},
    "many depths": {"model__activation": "abc", "depth": range(2, 50)},
}


@pytest.mark.parametrize("case", CASES)
def test_no_two_series_of_a_panel_look_the_same(case):
    rows = frame(**CASES[case])
    by = ("group", "depth") if "depth" in rows else ("group",)
    arranged = arrange(rows, by)
    assert len(arranged.series) == len(rows)
    assert len(set(pairs(arranged))) == len(rows)
    assert {facet for facet, _ in arranged.series.values()} == set(range(len(arranged.facets)))
    assert len(arranged.facets) <= FEW
    assert len(set(text for text, _ in arranged.entries)) == len(arranged.entries)
    assert sum(len(some) for _, some in arranged.of(rows)) == len(rows)


def test_a_few_groups_have_a_color_and_a_mark_each():
    arranged = arrange(frame(model__activation="abc"))
    assert arranged.facets == [""] and arranged.scale is None
    assert arranged.entries == [(name, numbered(i)) for i, name in enumerate("abc")]
    assert [look for _, look in arranged.series.values()] == [numbered(i) for i in range(3)]


def test_more_are_shared_out_over_fields():
    arranged = arrange(frame(model__activation="abc", init__name="wxyz"))
    assert arranged.facets == ["a", "b", "c"]
    assert [text for text, _ in arranged.entries] == ["w", "x", "y", "z"]
    assert arranged.series[("b, x",)].facet == 1 and arranged.series[("b, x",)].look == arranged.series[("a, x",)].look


def test_numbers_go_from_dark_to_light_and_many_have_a_bar_of_colors():
    rates = [1.0, 0.01, 0.1]
    arranged = arrange(frame(optim__lr=rates))
    assert [text for text, _ in arranged.entries] == ["lr 0.01", "lr 0.1", "lr 1"]
    lightness = [sum(arranged.series[(str(rate),)].look.color[:3]) for rate in sorted(rates)]
    assert lightness == sorted(lightness)
    many = arrange(frame(optim__lr=range(30)))
    title, words, colors = many.scale
    assert (title, words[0], words[-1], len(colors), many.entries) == ("lr", "lr 0", "lr 29", 30, [])


def test_what_differs_in_nothing_that_is_shared_out_is_spread():
    arranged = arrange(frame(model__activation=[f"name {i}" for i in range(2 * CHUNK)]))
    assert arranged.facets == [f"groups 1 to {CHUNK}", f"groups {CHUNK + 1} to {2 * CHUNK}"]
    assert len(arranged.entries) == 2 * CHUNK


def test_choices_say_what_colors_and_panels_stand_for():
    rows = frame(model__activation="ab", init__name="wxyz", optim__lr=[0.1, 1.0])
    arranged = arrange(rows, color="lr", facet="init.name")
    assert arranged.facets == list("wxyz")
    assert [text for text, _ in arranged.entries] == ["lr 0.1", "lr 1", "a", "b"]
    assert arrange(rows, facet="activation").facets == ["a", "b"]
    for option in ("color", "facet"):
        with pytest.raises(
            ConfigError, match=f"--{option}: got 'colour', accepts what these runs differ in: model.act"
        ):
            arrange(rows, **{option: "colour"})
    with pytest.raises(ConfigError, match="at most 24 values; this one has 30"):
        arrange(frame(optim__lr=range(30)), facet="optim.lr")


def test_fields_are_those_of_the_config_in_which_rows_differ():
    rows = frame(model__activation="ab", seed=[0, 1]).assign(**{"model.depth": 3, "other": [1, 2, 3, 4]})
    assert fields_of(rows) == ["model.activation"]
    assert field_named("color", ["model.activation", "depth"], "model.depth") == "depth"


def test_values_in_words():
    assert in_word("init.name", "he") == "he"
    assert in_word("optim.lr", 0.25) == in_word("optim.lr", "0.25") == "lr 0.25"
    assert in_word("model.bias", True) == "bias true"
    assert in_word("model.width", "[30, 20]") == "width [30, 20]"
    assert in_word("init.sigma_w", None) == in_word("init.sigma_w", float("nan")) == "sigma_w not set"
    assert list(in_words("optim.lr", pd.Series([0.12345, 0.5]))) == ["lr 0.12", "lr 0.5"]
    assert list(in_words("optim.lr", pd.Series([0.12345, 0.1234]))) == ["lr 0.12345", "lr 0.1234"]


def test_looks_of_many_do_not_return_before_256():
    looks = [numbered(i) for i in range(256)]
    assert len({(look.color, look.marker, look.fill) for look in looks}) == 256
    assert len({(look.color, str(look.dash)) for look in looks[:64]}) == 64


def test_ways_to_share_out_many_fields_are_not_all_tried(monkeypatch):
    """Of twenty fields there are 20 x 2^19 ways, none of which will do here."""
    names = [name for name in FIELDS if name.startswith(("optim.", "model."))][:18]
    rows = pd.DataFrame([dict.fromkeys(names, 1.0) | {name: 2.0} for name in names])
    rows = rows.merge(frame(init__name="abcdefghi", data__name="abcdefghi").drop(columns="group"), how="cross")
    rows = rows.assign(group=list(map(str, range(len(rows)))))
    tried, joint = [], looks._joint
    monkeypatch.setattr(looks, "_joint", lambda numbers: tried.append(1) or joint(numbers))
    assert len(arrange(rows).entries) == len(rows) and 0 < len(tried) < 100
