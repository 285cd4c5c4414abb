import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import chain, row
from zoo import biased, he, logits, mlp, problem

from vgexp.watching.checkup import diagnose
from vgexp.watching.diagnosis import conclude
from vgexp.watching.evidence import Evidence
from vgexp.watching.findings import saturated, silent, span
from vgexp.watching.monitor import watch

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


def loss(output, target):
    return F.cross_entropy(logits(output), target)


def found(name):
    model, batch = problem(name)
    return diagnose(model, batch, loss).findings


def test_not_a_number_names_who_made_it():
    assert found("nan weight")[0].layers == ["6"]
    assert found("nan in the middle")[0].layers == ["1"]
    assert "log in 1" in found("nan in the middle")[0].evidence
    backward = found("nan backward")[0]
    assert backward.layers == ["1"] and "backward: the derivative of sqrt" in backward.evidence
    torch.manual_seed(0)
    model = mlp(3, 16, nn.Tanh)
    x, y = torch.randn(8, 16), torch.randint(10, (8,))
    assert diagnose(model, (x * math.nan, y), F.cross_entropy).findings[0].layers == ["inputs"]
    assert diagnose(model, (x, y), lambda o, t: (o.sum() * 0).log()).findings[0].layers == ["loss"]


def test_dead_layers_are_named():
    """Where all units are off, nothing comes back to what is below, and what is above has nothing to weight."""
    assert found("dead relu")[0].layers == [str(i) for i in range(0, 18, 2)]
    torch.manual_seed(0)
    model = mlp(4, 16, nn.ReLU)
    nn.init.zeros_(model[4].weight)
    nn.init.ones_(model[4].bias)
    closed = diagnose(model, (torch.randn(8, 16), torch.randint(10, (8,))), F.cross_entropy).findings[0]
    assert closed.layers == ["0", "2"] and "4.weight is 0 and shuts them off" in closed.remedy


def test_gradients_that_underflow_are_vanishing_and_not_dead():
    findings = found("sigmoid 100, underflows")
    assert [finding.kind for finding in findings] == ["vanishing"]
    assert "underflows to 0" in findings[0].evidence and len(findings[0].layers) == 101


def test_gradients_that_overflow_are_exploding():
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Sequential(module, Steep(1e6)) for module in mlp(40, 64, nn.Identity, he)))
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    diagnosis = diagnose(model, (x, y), loss)
    assert diagnosis.verdict == "exploding" and "overflows" in diagnosis.findings[0].evidence


class Steep(nn.Module):
    """The identity forward, times a number backward."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x.detach() + self.factor * (x - x.detach())


def test_remedies_come_from_theory():
    remedy = found("relu default 20")[0].remedy
    assert "sigma_w = 1.41 is critical" in remedy and "0.57" in remedy and "std 0.177 at fan-in 64" in remedy
    assert "sigma_w" not in found("rnn 200")[0].remedy


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


@pytest.mark.parametrize(
    ("decades", "verdict"), [(0.0, "healthy"), (1.4, "healthy"), (1.7, "undecided"), (2.5, "vanishing")]
)
def test_the_rule_on_exact_profiles(decades, verdict):
    for sign, other in ((1, verdict), (-1, {"vanishing": "exploding"}.get(verdict, verdict))):
        rows = chain([sign * decades * i / 9 for i in range(10)], dw_rms=1.0)
        diagnosis = conclude([Evidence(0, rows, {}, {}, [])])
        assert diagnosis.verdict == other and bool(diagnosis.findings) is (abs(decades) > 2)


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


def test_the_last_layer_may_be_saturated():
    rows = [row(i, 1.0, saturation=fraction, activation="tanh") for i, fraction in ((1, 0.2), (2, 0.7), (3, 0.9))]
    (finding,) = saturated(Evidence(0, rows, {}, {}, []))
    assert finding.layers == ["l2"] and finding.evidence.startswith("70% of the tanh entries after l2 (layer 2)")


def test_many_names_are_abridged():
    assert span(["a", "b"]) == "a, b"
    assert span(list("abcdefgh")) == "a, b, c ... g, h (8 layers)"
