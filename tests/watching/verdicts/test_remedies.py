import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import row

from vgexp.networks import ACTIVATIONS
from vgexp.watching.checkup import diagnose
from vgexp.watching.verdicts.remedies import Remedy, applied, critical, remedies, scaled


def calls(activation, std, fan_ins=(256,) * 5, **others):
    """Layers in a chain, all with weights of one standard deviation (or one sigma_w, where it is a function)."""
    return [
        row(
            i,
            1.0,
            len(fan_ins) - i - 1,
            [i + 1] * (i + 1 < len(fan_ins)),
            activation=activation,
            w_rms=std(fan_in) if callable(std) else std,
            fan_in=fan_in,
            **others,
        )
        for i, fan_in in enumerate(fan_ins)
    ]


def test_the_critical_scale_is_named_where_theory_has_one():
    first, general = remedies("vanishing", calls("relu", math.sqrt(1 / 3 / 256)))
    assert first.words == "weights of std 0.0884 at fan-in 256 before relu: sigma_w = 1.41 is critical, it is 0.577 now"
    assert first.has_number and not general.has_number


def test_each_layer_has_the_scale_of_its_own_fan_in():
    """Not of a median that belongs to no layer."""
    (first, _) = remedies("vanishing", calls("tanh", 0.01, (64, 100, 400)))
    assert first.weights == pytest.approx({"l0": 1 / 8, "l1": 1 / 10, "l2": 1 / 20}, rel=1e-6)
    assert "0.125 at fan-in 64, 0.1 at fan-in 100, 0.05 at fan-in 400" in first.words


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("slope", [0.01, 0.5])
def test_the_critical_scale_is_that_of_the_slope_that_a_network_has(slope, in_place):
    """He et al. (2015), eq. 14: sigma_w^2 (1 + slope^2) / 2 = 1."""
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(20) for part in (nn.Linear(64, 64), nn.LeakyReLU(slope, in_place))])
    for layer in model[::2]:
        nn.init.normal_(layer.weight, std=0.5 / 8)
    (finding, *_) = diagnose(model, (torch.randn(32, 64), torch.randint(64, (32,))), F.cross_entropy).findings
    assert finding.kind == "vanishing"
    assert finding.remedies[0].weights["2"] == pytest.approx(math.sqrt(2 / (1 + slope**2)) / 8)


def test_layers_with_one_activation_and_other_numbers_have_scales_of_their_own():
    torch.manual_seed(0)
    slopes = (0.5, 0.1) * 10
    model = nn.Sequential(*[part for slope in slopes for part in (nn.Linear(64, 64), nn.LeakyReLU(slope))])
    (finding, *_) = diagnose(model, (torch.randn(32, 64), torch.randint(64, (32,))), F.cross_entropy).findings
    assert "sigma_w = 1.26" in finding.remedy and "sigma_w = 1.41" in finding.remedy


@pytest.mark.parametrize(
    ("kind", "activation", "ratio", "named"),
    [
        ("vanishing", "relu", 0.5, True),
        ("vanishing", "relu", 2.0, False),
        ("vanishing", "tanh", 2.0, True),
        ("exploding", "relu", 2.0, True),
        ("exploding", "tanh", 0.5, False),
        ("saturated", "tanh", 0.5, False),
        ("saturated", "tanh", 2.0, True),
        ("vanishing", "sigmoid", 0.5, False),
        ("vanishing", "gelu", 0.5, False),
        ("vanishing", "relu", 1.0, False),
        ("vanishing", "", 0.5, False),
    ],
)
def test_the_scale_of_the_weights_is_named_in_the_direction_of_the_fault(kind, activation, ratio, named):
    goal = critical(ACTIVATIONS.get(activation)) or 1.0
    rows = calls(activation, lambda fan_in: ratio * goal / math.sqrt(fan_in))
    assert any(remedy.weights for remedy in remedies(kind, rows)) is named


def test_under_a_norm_the_scale_of_the_weights_changes_nothing():
    rows = calls("relu", 1.0, operations=["NativeBatchNorm", "Relu"])
    (general,) = remedies("exploding", rows)
    assert "weights" not in general.words and "norm" not in general.words


def test_inputs_that_are_too_large_are_to_blame_and_not_weights():
    rows = calls("tanh", 1 / 8, (64, 64), saturation=0.9, z_rms=100.0)
    assert remedies("saturated", rows)[0].inputs == pytest.approx(0.01)
    rows = calls("tanh", 1 / 8, (64, 64), saturation=0.9, z_rms=1.0)
    assert all(remedy.inputs == 1 for remedy in remedies("saturated", rows))


def test_a_remedy_is_applied_for_a_while():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with applied(Remedy("", {"0": 0.5, "1": 0.5, "gone": 1.0}), model):
        assert float(model[0].weight.detach().square().mean().sqrt()) == pytest.approx(0.5)
        assert torch.equal(model[0].bias, before["0.bias"])
    with pytest.raises(ZeroDivisionError), applied(Remedy("", {"0": 0.5}), model):
        raise ZeroDivisionError
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("weight", [torch.ones(8, 8, dtype=torch.int64), torch.zeros(8, 8)], ids=["integers", "zeros"])
def test_weights_come_back_where_a_remedy_cannot_be_applied(weight):
    """The first layer is scaled by then."""
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = nn.Parameter(weight, requires_grad=False)
    before = model[0].weight.clone()
    with pytest.raises((RuntimeError, ZeroDivisionError)), applied(Remedy("", {"0": 0.5, "1": 0.5}), model):
        pytest.fail("it was applied")
    assert torch.equal(model[0].weight, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_remedy_is_applied_to_any_type_of_weights(dtype):
    model = nn.Linear(64, 64).to(dtype)
    with applied(Remedy("", {"Linear": 0.25}), model):
        assert float(model.weight.detach().double().square().mean().sqrt()) == pytest.approx(0.25, rel=1e-2)
        assert model.weight.dtype is dtype


def test_inputs_are_scaled_wherever_they_are():
    x, n = torch.ones(3), torch.ones(3, dtype=torch.int64)
    found = scaled({"x": x, "pair": (x, [n])}, 0.5)
    assert torch.equal(found["x"], x / 2) and torch.equal(found["pair"][0], x / 2)
    assert found["pair"][1][0] is n and scaled("words", 0.5) == "words"


class Branch(nn.Module):
    """A residual branch."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32))

    def forward(self, x):
        return x + self.net(x)


def test_what_a_network_has_is_not_what_it_is_told_to_try():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(32, 32), *[Branch() for _ in range(8)], nn.Linear(32, 3))
    for p in model.parameters():
        nn.init.normal_(p, std=3 / math.sqrt(32))
    (finding,) = diagnose(model, (torch.randn(16, 32), torch.randint(3, (16,))), F.cross_entropy).findings
    assert finding.kind == "exploding" and "branch" in finding.remedies[-1].words
    assert not any("residual" in remedy.words for remedy in finding.remedies)


def test_a_chain_is_told_to_try_residual_connections():
    (general,) = remedies("vanishing", calls("gelu", 0.01))
    assert general.words == "residual connections or normalisation"
    rows = calls("gelu", 0.01, operations=["NativeLayerNorm"], plumbing=["Add"])
    for each in rows:
        each["above"] = [1, 2]
    assert "residual" not in remedies("vanishing", rows)[0].words


@pytest.mark.parametrize("first", [True, False])
def test_small_weights_in_front_of_a_norm_are_to_be_larger(first):
    """Their gradient explodes because the norm divides by what they put out: smaller ones would make it worse."""
    torch.manual_seed(0)
    small, norm = nn.Linear(8, 16), nn.BatchNorm1d(16, eps=1e-20)
    small.weight.data *= 1e-4
    below = [] if first else [nn.Linear(8, 8), nn.ReLU()]
    model = nn.Sequential(*below, small, norm, nn.ReLU(), nn.Linear(16, 3))
    diagnosis = diagnose(model, (torch.randn(32, 8), torch.randint(3, (32,))), F.cross_entropy)
    (finding,) = diagnosis.findings
    assert finding.kind == "exploding"
    remedy = finding.remedies[0]
    assert remedy.weights == {str(len(below)): pytest.approx(8**-0.5)} and "larger weights" in remedy.words
    assert "tried on this batch: healthy" in remedy.tried
