"""Arrangements against what they promise: signals that change by as much at any width."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.networks.building import blueprints, require_buildable
from vgexp.networks.optimizers import OPTIMIZERS
from vgexp.training.stack import Stack

SHAPES = {
    "plain": {},
    "plain, norm": {"model__norm": "layer"},
    "residual": {"model__family": "residual", "model__branch_layers": 2, "model__norm": "rms"},
    "residual, learned": {"model__family": "residual", "model__branch": "learned"},
    "highway": {"model__family": "highway"},
    "reversible": {"model__family": "reversible"},
}
WIDTHS = (64, 128, 256, 512)


class States:
    """Notes the states above every layer."""

    keeps = False

    def __init__(self):
        self.states = {}

    def block(self, layer, before, after):
        self.states[layer] = torch.cat([tensor.detach() for tensor in after], -1)

    def __getattr__(self, name):
        return lambda *_: None


def changes(run, steps):
    """What so many steps on one batch make of every layer's state and of the outputs, as root mean squares."""
    stack = Stack([replace(run, seed=seed) for seed in range(4)])
    x_MBI, y_MB = stack.stream.batch(0)

    def look():
        states = States()
        with torch.no_grad():
            states.block("out", None, (stack.network(x_MBI, states),))
        return states.states

    before = look()
    for _ in range(steps):
        stack.step(x_MBI, y_MB)
    after = look()
    return {layer: float((after[layer] - before[layer]).square().mean().sqrt()) for layer in before}


def slopes(law, optimizer, lr, shape, steps=1):
    """Exponents of the width in the changes: least squares in logarithms."""
    run = small(model__depth=2, model__activation="relu", data__batch_size=32, init__name=law, **SHAPES[shape])
    run = replace(run, optim=replace(run.optim, name=optimizer, lr=lr))
    found = [changes(replace(run, model=replace(run.model, width=width)), steps) for width in WIDTHS]
    return {
        layer: np.polyfit(np.log(WIDTHS), [math.log(change[layer]) for change in found], 1)[0] for layer in found[0]
    }


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.02), ("adam", 0.001)])
@pytest.mark.parametrize("shape", SHAPES)
def test_signals_change_by_as_much_at_any_width(optimizer, lr, shape):
    assert max(map(abs, slopes("mup", optimizer, lr, shape).values())) <= 0.12


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.02), ("momentum", 0.02), ("adam", 0.001)])
def test_and_go_on_so(optimizer, lr):
    assert max(map(abs, slopes("mup", optimizer, lr, "plain", steps=4).values())) <= 0.12


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.02), ("adam", 0.001)])
def test_without_it_they_do_not(optimizer, lr):
    assert slopes("lecun", optimizer, lr, "plain")["out"] >= 0.5


MUP = {
    # m_in and m_out are 2 and 4 for the hidden matrix of widths 128 and 256 over 64.
    "sgd": {
        (1, ""): (1 / 64, 2, 2),
        (1, "norm"): (None, 2, 2),
        (2, ""): (1 / 128, 2, 4),
        (2, "norm"): (None, 4, 4),
        (3, ""): (1 / 256**2, 1 / 4, 1),
    },
    "adam": {
        (1, ""): (1 / 64, 1, 1),
        (1, "norm"): (None, 1, 1),
        (2, ""): (1 / 128, 1 / 2, 1),
        (2, "norm"): (None, 1, 1),
        (3, ""): (1 / 256**2, 1 / 4, 1),
    },
}
"""Var W, the weights' rate and the biases' of every part: Yang et al. (2022), table 3."""


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_scales_and_rates_by_shape(optimizer):
    run = small(init__name="mup", optim__name=optimizer, model__norm="layer", model__depth=2, model__width=[128, 256])
    found = {
        part.key: (
            part.gains[0] / part.fan_in if part.is_matrix else None,
            part.rates["weight"],
            part.rates["bias"],
        )
        for part in blueprints(run, 64, 10)
    }
    for key, expected in MUP["adam" if optimizer == "adam" else "sgd"].items():
        assert found[key] == pytest.approx(expected), key


def test_at_the_base_width_only_the_readout_is_not_lecuns():
    run = small(init__name="mup", init__base_width=12, init__sigma_b=0.1)
    for ours, theirs in zip(blueprints(run, 64, 10), blueprints(small(init__name="lecun"), 64, 10), strict=True):
        assert ours.rates == theirs.rates == {"weight": 1, "bias": 1}
        if ours.layer <= 3:
            assert ours.gains == pytest.approx(theirs.gains)
            assert torch.equal(ours.draw(0)[0], theirs.draw(0)[0])
        else:
            assert ours.gains[0] == pytest.approx(theirs.gains[0] / 12)


def test_what_the_law_spares_has_plain_rates():
    run = small(init__name="mup", init__scope="hidden", model__width=128, model__norm="layer")
    rates = {part.key: part.rates for part in blueprints(run, 64, 10)}
    assert all(rates[key] == {"weight": 1, "bias": 1} for key in ((1, ""), (1, "norm"), (4, "")))
    assert rates[2, ""] == {"weight": 1, "bias": 2} and rates[2, "norm"] == {"weight": 2, "bias": 2}


def test_new_units_of_a_dense_block_do_not_grow():
    """So that its matrices are outputs, like the readout."""
    run = small(init__name="mup", model__family="dense", model__growth=8, model__width=120)
    parts = {part.key: part for part in blueprints(run, 64, 10)}
    assert (parts[2, ""].rate, parts[2, ""].bias_rate) == (64 / 120, 1)
    assert parts[3, ""].rate == (64 + 8) / (120 + 8)
    assert parts[3, ""].gains[0] == pytest.approx(1 / 128)


def residual(blocks, **changes):
    fixed = {"model__family": "residual", "model__branch_layers": 2, "model__activation": "relu", "model__width": 64}
    return small(model__depth=blocks + 1, data__batch_size=32, **(fixed | changes))


def change(run, steps=1):
    """How far the last of some steps moves the outputs of a batch, over lr; 4 seeds."""
    stack = Stack([replace(run, seed=seed) for seed in range(4)])
    x_MBI, y_MB = stack.stream.batch(0)
    for _ in range(steps):
        with torch.no_grad():
            before = stack.network(x_MBI)
        stack.step(x_MBI, y_MB)
    with torch.no_grad():
        return float((stack.network(x_MBI) - before).norm(dim=(1, 2)).mean()) / run.optim.lr


@pytest.mark.parametrize("scalars", ["none", "fixup"])
@pytest.mark.parametrize(("scope", "steps"), [("hidden", 1), ("all", 3)])
def test_fixup_changes_outputs_by_as_much_at_any_depth(scalars, scope, steps):
    """Under a readout that is not 0 the branches move in the first step, else from the second on."""
    run = lambda blocks: residual(blocks, init__name="fixup", model__scalars=scalars, init__scope=scope)
    found = [change(run(blocks), steps) for blocks in (4, 16, 64)]
    assert max(found) / min(found) <= 1.25


def test_others_do_not():
    """He explodes; with ReZero the change grows as the depth, beside what stem and readout contribute."""
    he, rezero = {"init__name": "he", "optim__lr": 1e-6}, {"model__branch": "learned"}
    assert change(residual(16, **he)) > 1e3 * change(residual(4, **he))
    few, more, many = (change(residual(blocks, **he, **rezero)) for blocks in (4, 64, 256))
    assert (many - few) / (more - few) == pytest.approx(4, rel=0.3)


def test_fixup_scales():
    parts = {part.key: part for part in blueprints(residual(4, init__name="fixup", model__scalars="fixup"), 64, 10)}
    gains = {key: part.gains[0] for key, part in parts.items() if part.is_matrix}
    assert gains[1, ""] == pytest.approx(2)
    for layer in range(2, 6):
        assert gains[layer, "inner"] == pytest.approx(2 / 4)
        assert gains[layer, ""] == 0 and parts[layer, ""].rates == {"weight": 1, "bias": 1 / 4}
    assert gains[6, ""] == 0 and parts[6, ""].rates == {"weight": 1, "bias": 1}
    scalars = {key: part for key, part in parts.items() if not part.is_matrix}
    assert len(scalars) == 4 * 5 + 2
    assert all(part.rate == 0.1 and part.entries == 1 for part in scalars.values())
    assert {part.draw(0)[0].item() for key, part in scalars.items() if key[1] == "factor"} == {1.0}
    assert {part.draw(0)[0].item() for key, part in scalars.items() if key[1] != "factor"} == {0.0}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"model__norm": "layer"},
            "^model.norm: got 'layer', accepts none with {}, which is for model.family=residual",
        ),
        ({"model__branch_layers": 1}, "^model.branch_layers: got 1, accepts 2 with {}, which is for"),
        ({"model__placement": "post"}, "^model.placement: got 'post', accepts pre with {}, which is for"),
        ({"model__branch": "learned"}, "^model.branch: got 'learned', accepts a number or .* with {}: a branch"),
    ],
)
def test_networks_that_fixup_is_not_for(wrong, message):
    for asked, fixed in (
        ("init.name=fixup", {"init__name": "fixup"}),
        ("model.scalars=fixup", {"model__scalars": "fixup"}),
    ):
        require_buildable(residual(3, **fixed))
        with pytest.raises(ConfigError, match=message.format(asked)):
            require_buildable(residual(3, **fixed, **wrong))


def test_other_families_have_no_fixup():
    with pytest.raises(ConfigError, match=r"^model.family: got 'plain', accepts residual with init.name=fixup"):
        require_buildable(small(init__name="fixup"))
