from dataclasses import replace

import pytest

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.experiments.prediction import size
from vgexp.networks.families import FAMILIES

QUICK = ["data=digits", "model.depth=8", "model.width=16"]


def test_gradients_and_costs_in_one():
    found = vgexp.predict(*QUICK, "model.activation=sigmoid")
    assert found.summary.startswith("vanishing: from layer 8 down to 1 the gradient shrinks")
    assert list(found.costs["memory"]) == ["store", "checkpoint"]
    assert "largest_depth" not in found.costs
    assert found.summary in str(found)
    assert " 4 " in str(found) and "checkpoint" in str(found)


def test_every_memory_mode_has_its_depth():
    found = vgexp.predict(*QUICK, "model.family=reversible", budget="1MB")
    assert "a layer" in found.summary
    deepest = found.costs.set_index("memory")["largest_depth"]
    assert deepest["invert"] > deepest["checkpoint"] > deepest["store"] > 8


def test_without_a_theory_there_are_still_costs(monkeypatch):
    """A block that looks into its parts cannot run on draws."""
    block = lambda p, layer, state: (state[0] @ p.network.parts[layer, ""].weight_MIO,)
    monkeypatch.setitem(FAMILIES, "mine", replace(FAMILIES["plain"], block=block, recursion=None))
    found = vgexp.predict(*QUICK, "model.family=mine")
    assert found.summary.startswith("no theory of gradients: the blocks of the family mine do not run on draws: ")
    assert len(found.costs) == 2 and found.profile.empty


@pytest.mark.parametrize(
    ("text", "value"), [("8GB", 8e9), ("512 MB", 5.12e8), ("1e6", 1e6), (2048, 2048), ("1.5k", 1500)]
)
def test_sizes(text, value):
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "8 GiB", "0", "1.2.3MB"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="--budget"):
        size(text)
