import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import chain, row
from zoo import biased, he, mlp

from vgexp.watching.checkup import diagnose
from vgexp.watching.monitor import watch
from vgexp.watching.verdicts.evidence import Evidence
from vgexp.watching.verdicts.units import SMOOTH, TWO_SIDED, saturated, silent


def test_units_that_are_silent_by_chance_are_none():
    """Deep in a healthy network examples look alike: a unit is off, or on, on all of them."""
    torch.manual_seed(0)
    model = mlp(60, 64, nn.ReLU, he)
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    with watch(model) as monitor:
        F.cross_entropy(model(x), y).backward()
        monitor.step()
    assert monitor.frame()["dead"].max() > 0.4
    assert "silent" not in [finding.kind for finding in monitor.diagnosis().findings]


def test_units_have_to_be_silent_over_the_steps():
    torch.manual_seed(0)
    model = biased(mlp(8, 64, nn.ReLU, he), 6, -100.0, 0.9)
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    with watch(model, every=1) as monitor:
        for shift in (0.0, 200.0):
            with torch.no_grad():
                model[6].bias += shift
            F.cross_entropy(model(x), y).backward()
            monitor.step()
            verdict = monitor.diagnosis().verdict
            assert verdict == "silent" if shift == 0 else verdict != "silent"


def test_half_of_the_units_off_are_not_too_many_for_chance():
    """By hand: 40 of 64 units off and none on is a fault; 40 off and 24 on is what equal odds allow."""
    always_N = np.arange(64) < 40
    for never_N, faulty in ((np.zeros(64, bool), True), (~always_N, False)):
        steps = [Evidence(step, [row(1, 1.0, off=[(always_N, never_N)])], {}, {}, []) for step in (0, 1)]
        findings = silent(steps)
        assert bool(findings) is faulty
        if faulty:
            assert (
                findings[0].evidence == "62% of the units of l1 (layer 1) are off on every example of 2 recorded steps"
            )


def test_units_are_silent_only_if_they_were_off_in_every_step():
    first_N = np.arange(64) < 40
    steps = [Evidence(0, [row(1, 1.0, off=[(off_N, 0 * first_N)])], {}, {}, []) for off_N in (first_N, ~first_N)]
    assert silent(steps[:1]) and silent(steps) == []


def test_the_layer_next_to_the_loss_may_be_saturated():
    rows = chain([0.0, 0.0, 0.0])
    for each, fraction in zip(rows, (0.2, 0.7, 0.9), strict=True):
        each |= {"saturation": fraction, "activation": "tanh"}
    (finding,) = saturated(Evidence(0, rows, {}, {}, []))
    assert finding.layers == ["l1"] and finding.evidence.startswith("70% of the tanh entries after l1 (layer 1)")


@pytest.mark.parametrize(
    ("activation", "plumbing", "found"),
    [("sigmoid", ["Mul"], []), ("sigmoid", ["Add"], ["l1"]), ("tanh", ["Mul"], ["l1"])],
)
def test_gates_may_be_shut(activation, plumbing, found):
    """As those of highways, after training; what is multiplied by them may not be flat."""
    rows = chain([0.0, 0.0, 0.0])
    rows[1] |= {"saturation": 0.9, "activation": activation, "plumbing": plumbing}
    assert [name for each in saturated(Evidence(0, rows, {}, {}, [])) for name in each.layers] == found


def test_a_highway_whose_gates_are_shut_is_not_saturated():
    class Highway(nn.Module):
        def __init__(self):
            super().__init__()
            self.gate, self.branch = nn.Linear(16, 16), nn.Linear(16, 16)
            nn.init.constant_(self.gate.bias, -6.0)

        def forward(self, x):
            t = torch.sigmoid(self.gate(x))
            return t * torch.relu(self.branch(x)) + (1 - t) * x

    torch.manual_seed(0)
    model = nn.Sequential(*[Highway() for _ in range(4)], nn.Linear(16, 3))
    kinds = [f.kind for f in diagnose(model, (torch.randn(8, 16), torch.randint(3, (8,))), F.cross_entropy).findings]
    assert "saturated" not in kinds


def test_what_may_be_saturated_is_found_in_graphs():
    assert TWO_SIDED < SMOOTH


@pytest.mark.parametrize(("activation", "found"), [("tanh", 1), ("sigmoid tanh", 1), ("softplus", 0), ("silu", 0)])
def test_what_is_flat_on_one_side_is_not_saturated(activation, found):
    rows = chain([0.0, 0.0])
    rows[0] |= {"saturation": 0.9, "activation": activation}
    assert len(saturated(Evidence(0, rows, {}, {}, []))) == found


def test_units_are_silent_in_all_calls_of_a_layer_or_not_at_all():
    """One example a call: half of the units are off on it, and others on the next."""

    class OneByOne(nn.Module):
        def __init__(self, bias):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))
            nn.init.constant_(self.net[0].bias, bias)

        def forward(self, x):
            return torch.cat([self.net(example[None]) for example in x])

    generator = torch.Generator().manual_seed(1)
    batch = torch.randn(32, 16, generator=generator), torch.arange(32) % 4
    verdicts = {bias: diagnose(OneByOne(bias), batch, F.cross_entropy).verdict for bias in (0.0, -0.8, -2.0)}
    whole = {bias: diagnose(OneByOne(bias).net, batch, F.cross_entropy).verdict for bias in verdicts}
    assert verdicts == whole == {0.0: "healthy", -0.8: "healthy", -2.0: "silent"}
