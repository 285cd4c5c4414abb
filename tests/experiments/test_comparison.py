from dataclasses import replace

import pytest

from vgexp.config.errors import ConfigError
from vgexp.experiments.comparison import compare
from vgexp.experiments.prediction import predict
from vgexp.networks.families import FAMILIES

QUICK = ["data=digits", "model.depth=4", "model.width=16"]


def test_a_line_says_what_a_prediction_says():
    rows = compare(*QUICK, "model.activation=tanh,sigmoid", "init.name=he,lecun").rows
    assert list(rows) == ["model.activation", "init.name", "factor", "fall", "verdict"] and len(rows) == 4
    alone = predict(*QUICK, "model.activation=sigmoid", "init.name=lecun").fit
    line = rows.iloc[3]
    assert (line["factor"], line["fall"]) == (alone.factor.point, alone.fall.point)
    assert line["verdict"] == alone.verdict


def test_what_a_network_does_not_read_is_left_empty_and_no_further_line():
    found = compare(*QUICK, "model.family=plain,highway", "model.norm=none,layer", "model.norm_at=before,after")
    assert found.rows[["model.family", "model.norm", "model.norm_at"]].to_numpy().tolist() == [
        ["plain", "none", ""],
        ["plain", "layer", "before"],
        ["plain", "layer", "after"],
        ["highway", "", ""],
    ]
    assert "factor a layer" in str(found)


def test_without_a_theory_the_reason_is_said(monkeypatch):
    block = lambda p, layer, state: (state[0] @ p.network.parts[layer, ""].weight_MIO,)
    monkeypatch.setitem(FAMILIES, "mine", replace(FAMILIES["plain"], block=block, recursion=None))
    assert "do not run on draws" in str(compare(*QUICK, "model.family=plain,mine"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle.depth=3,5", r"modle.depth: got 'modle.depth=3,5', accepts .*did you mean model.depth"),
        ("hydra.run.dir=/tmp/x", r"hydra.run.dir: got .*, accepts hydra/launcher and hydra.launcher"),
        ("members=x", "members: got 'members=x', accepts only fields of the config"),
        ("+seed=1", r"\+?seed: got '\+seed=1', accepts seed=value alone"),
    ],
)
def test_keys_are_checked_as_where_it_is_trained(override, message):
    with pytest.raises(ConfigError, match=message):
        compare(*QUICK, override)


def test_of_a_field_that_is_typed_twice_the_later_counts():
    assert compare(*QUICK, "model.depth=3,5", "model.depth=4,6").rows["model.depth"].tolist() == [4, 6]


def test_bad_input():
    with pytest.raises(ConfigError, match=r"model.norm: got 'nonsense', accepts none, batch"):
        compare(*QUICK, "model.norm=none,nonsense")
    with pytest.raises(ConfigError, match="--budget: got '8GB', accepts one network, without -m"):
        compare(*QUICK, budget="8GB")
