import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn
from zoo import ZOO, biased, he, logits, mlp, problem

from vgexp.watching.checkup import diagnose
from vgexp.watching.diagnosis import KINDS, Detail, Diagnosis, Finding, Observed, judge
from vgexp.watching.monitor import watch

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


def scaled(scale):
    return lambda output, target: scale * F.cross_entropy(logits(output), target)


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_is_judged_rightly_at_every_scale_of_the_loss(name):
    model, batch = problem(name)
    verdicts = {k: diagnose(model, batch, scaled(10.0**k)).verdict for k in (-12, -6, 0, 3, 6)}
    assert set(verdicts.values()) == {ZOO[name][0]}, verdicts


@pytest.mark.slow
def test_the_trend_is_the_least_squares_line_over_gradients_without_hooks():
    for depth, phi, law in ((20, nn.Sigmoid, None), (12, nn.Tanh, None), (30, nn.ReLU, he)):
        torch.manual_seed(depth)
        model = mlp(depth, 64, phi, law).double()
        x, y = torch.randn(64, 64, dtype=torch.float64), torch.randint(10, (64,))
        h, zs = x, []
        for module in model:
            h = module(h)
            zs += [h] if isinstance(module, nn.Linear) else []
        dz = [float(d.square().mean().sqrt()) for d in torch.autograd.grad(F.cross_entropy(h, y), zs)]
        line = stats.linregress(np.arange(len(dz)), np.log10(dz))
        half = stats.t.ppf(0.975, len(dz) - 2) * line.stderr
        fall = [(line.slope + sign * half) * depth for sign in (0, -1, 1)]
        words = "falls {:.2g} [{:.2g}, {:.2g}] decades".format(*fall)
        assert words in diagnose(model, (x, y), F.cross_entropy).profile


def found(name):
    model, batch = problem(name)
    return diagnose(model, batch, scaled(1.0)).findings


def test_not_a_number_names_who_made_it():
    assert found("nan weight")[0].layers == ["6"]
    assert found("nan in the middle")[0].layers == ["1"]
    assert "(Log) puts out what is not finite" in found("nan in the middle")[0].evidence
    backward = found("nan backward")[0]
    assert backward.layers == ["0.6"] and "backward" in backward.evidence
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
    diagnosis = diagnose(model, (x, y), scaled(1.0))
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


def test_findings_are_sorted_print_and_convert():
    torch.manual_seed(0)
    model = mlp(20, 64, nn.Sigmoid)
    model.append(nn.Identity())
    model[-1].spare = nn.Linear(3, 3)
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    diagnosis = diagnose(model, (x, y), F.cross_entropy)
    assert [finding.kind for finding in diagnosis.findings] == ["vanishing", "disconnected"]
    assert diagnosis.verdict == "vanishing" == json.loads(diagnosis.to_json())["verdict"]
    assert diagnosis.to_dict()["findings"][1] == diagnosis.findings[1].to_dict()
    text = str(diagnosis)
    assert text.splitlines()[0].startswith("vanishing (step 0): dz changes by 0.1") and "41.spare" in text
    assert set(diagnosis.findings[0].to_dict()) == {"kind", "layers", "evidence", "remedy"}


def row(layer, dz, **others):
    empty = dict.fromkeys(("z_rms", "h_mean", "h_std", "saturation", "dead", "dw_rms", "w_rms"), math.nan)
    head = {"step": 0, "layer": layer, "name": f"l{layer}", "call": 0, "module": "Linear", "activation": ""}
    return {**head, **empty, "frozen": False, "broken": (), "dz_rms": dz, **others}


@pytest.mark.parametrize(
    ("decades", "verdict"), [(0.0, "healthy"), (1.4, "healthy"), (1.7, "borderline"), (2.5, "vanishing")]
)
def test_the_rule_on_exact_profiles(decades, verdict):
    for sign, other in ((1, verdict), (-1, {"vanishing": "exploding"}.get(verdict, verdict))):
        rows = [row(i + 1, 10 ** (sign * decades * i / 9), dw_rms=1.0) for i in range(10)]
        details = [Detail(1e-30, [], [], 0)] * 10
        assert judge([Observed(0, rows, details, {}, {}, [])]).verdict == other


def test_nothing_recorded_is_no_diagnosis():
    with watch(mlp(2, 8, nn.Tanh)) as monitor, pytest.raises(RuntimeError, match="nothing is recorded yet"):
        monitor.diagnosis()


def test_the_worst_kind_is_the_verdict():
    assert (
        Diagnosis([Finding(kind, [], "", "") for kind in KINDS]).verdict == "nan" and Diagnosis().verdict == "healthy"
    )
