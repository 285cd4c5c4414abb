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


def test_a_prediction_says_phase_and_depth():
    found = vgexp.predict(*QUICK, "model.activation=relu", "init.name=lecun", "model.depth=30")
    assert found.phase.name == "ordered" and found.phase.chi_1 == pytest.approx(0.5)
    assert "ordered: chi_1 = 0.5, xi_c = 1.44 layers" in str(found)
    assert found.thousandfold.layers == 21  # 2^(-20 / 2) < 10^-3
    assert "falls to a thousandth at depth 21" in str(found)


def test_where_there_is_no_phase_and_no_depth_it_says_so():
    found = vgexp.predict(*QUICK[:1], "model.width=[16,8,8]", "model.depth=3", "init.name=glorot")
    assert found.phase is None and found.order == ""
    assert "no depth for a thousandth: a list of widths says nothing of other depths" in str(found)
    found = vgexp.predict(*QUICK, "model.family=residual", "model.branch=1/sqrt(L)")
    assert found.phase is None and "chi_1" not in str(found)
    assert "neither falls to a thousandth nor grows a thousandfold up to depth 10,000" in str(found)


@pytest.mark.parametrize(
    ("text", "value"), [("8GB", 8e9), ("512 MB", 5.12e8), ("1e6", 1e6), (2048, 2048), ("1.5k", 1500)]
)
def test_sizes(text, value):
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "8 GiB", "0", "1.2.3MB"])
def test_what_is_no_size(text):
    with pytest.raises(ConfigError, match="--budget"):
        size(text)


def test_a_readout_that_starts_at_0_is_no_dead_network():
    fixup = ["model.family=residual", "model.branch_layers=2", "model.scalars=fixup", "init.name=fixup", *QUICK]
    closed = vgexp.predict(*fixup)
    assert closed.fit is not None and closed.fit.verdict == "undecided"
    assert closed.thousandfold is None and closed.remedies.empty
    assert str(closed).count("the readout starts at 0") == 1
    opened = vgexp.predict(*fixup, "init.scope=hidden")
    assert opened.fit is not None and opened.fit.verdict == "healthy"
    assert opened.fit.factor.point == pytest.approx(1)


def test_a_batch_norm_over_one_example_is_no_readout_that_starts_at_0():
    """It makes 0 of every z, and of every dz below the readout, whose weights are not 0."""
    found = vgexp.predict(*QUICK, "model.norm=batch", "data.batch_size=1")
    assert found.fit is not None and found.fit.verdict == "dead" and "the readout starts at 0" not in str(found)


def test_a_prediction_is_one_line_one_screen_and_in_notebooks_a_small_table():
    found = vgexp.predict(*QUICK, "model.depth=60", "model.activation=sigmoid")
    assert repr(found) == f"Prediction(plain sigmoid 60 x 16: {found.summary})"
    lines = str(found).splitlines()
    assert len(lines) < 50 and f"  {61} " in str(found) and "..." in str(found)
    assert str(vgexp.predict(*QUICK)).count("...") == 0
    shown = found._repr_html_()
    profile, *_ = shown.split("</table>")
    assert profile.count("<tr") == 12 and "<td>1</td>" in profile and "<td>61</td>" in profile
    assert all(overrides in shown for overrides in found.remedies["overrides"])
    hostile = replace(found, profile=found.profile[:0], fit=None, missing="a < b", remedies=found.remedies[:0])
    assert "a &lt; b" in hostile._repr_html_() and hostile._repr_html_().count("<table") == 1
