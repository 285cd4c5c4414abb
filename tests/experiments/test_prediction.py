import pytest

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.experiments.prediction import size

QUICK = ["data=digits", "model.depth=8", "model.width=16"]


def test_gradients_and_costs_in_one():
    found = vgexp.predict(*QUICK, "model.activation=sigmoid")
    assert found.summary.startswith("vanishing: from layer 8 down to 1 the gradient shrinks")
    assert list(found.costs["memory"]) == ["store", "checkpoint"]
    assert "largest_depth" not in found.costs
    assert found.summary in str(found)
    assert " 4 " in str(found) and "checkpoint" in str(found)


def test_a_family_without_a_theory_still_has_costs():
    found = vgexp.predict(*QUICK, "model.family=reversible", budget="1MB")
    assert found.summary == "no theory of gradients for the family reversible"
    deepest = found.costs.set_index("memory")["largest_depth"]
    assert deepest["invert"] > deepest["checkpoint"] > deepest["store"] > 8


@pytest.mark.parametrize(
    ("text", "value"), [("8GB", 8e9), ("512 MB", 5.12e8), ("1e6", 1e6), (2048, 2048), ("1.5k", 1500)]
)
def test_sizes(text, value):
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "8 GiB", "0", "1.2.3MB"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="--budget"):
        size(text)
