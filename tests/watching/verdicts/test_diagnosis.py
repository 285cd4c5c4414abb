import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import ZOO, he, logits, mlp, problem

from vgexp.watching.checkup import diagnose
from vgexp.watching.monitor import watch
from vgexp.watching.verdicts.diagnosis import Diagnosis
from vgexp.watching.verdicts.falls import NOTHING
from vgexp.watching.verdicts.findings import FINDING_KINDS, Finding
from vgexp.watching.verdicts.remedies import Remedy

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


def scaled(scale):
    return lambda output, target: scale * F.cross_entropy(logits(output), target)


@pytest.mark.parametrize("name", ZOO)
def test_the_zoo_is_judged_rightly_at_every_scale_of_the_loss(name):
    model, batch = problem(name)
    verdicts = {k: diagnose(model, batch, scaled(10.0**k)).verdict for k in (-12, -6, 0, 3, 6)}
    assert set(verdicts.values()) == {ZOO[name][0]}, verdicts


@pytest.mark.slow
def test_the_fall_is_that_of_gradients_without_hooks_from_end_to_end():
    for depth, phi, law in ((20, nn.Sigmoid, None), (12, nn.Tanh, None), (30, nn.ReLU, he)):
        torch.manual_seed(depth)
        model = mlp(depth, 64, phi, law).double()
        x, y = torch.randn(64, 64, dtype=torch.float64), torch.randint(10, (64,))
        h, zs = x, []
        for module in model:
            h = module(h)
            zs += [h] if isinstance(module, nn.Linear) else []
        dz = [float(d.norm()) for d in torch.autograd.grad(F.cross_entropy(h, y), zs)]
        factor = (dz[0] / dz[-1]) ** (1 / depth)
        words = f"dz changes by {factor:.3g} a layer towards the input over {depth + 1} layers in a row"
        lost = np.log10(dz[-1] / dz[0])
        verb = "falls" if lost > 0 else "grows"
        profile = diagnose(model, (x, y), F.cross_entropy).profile
        assert profile == f"{words}, {verb} by {abs(lost):.2g} decades"


def test_findings_are_sorted_print_and_convert():
    torch.manual_seed(0)
    model = mlp(20, 64, nn.Sigmoid)
    model.append(nn.Identity())
    model[-1].spare = nn.Linear(3, 3)
    x, y = torch.randn(64, 64), torch.randint(10, (64,))
    diagnosis = diagnose(model, (x, y), F.cross_entropy)
    assert [finding.kind for finding in diagnosis.findings] == ["disconnected", "vanishing"]
    assert diagnosis.verdict == "disconnected" == json.loads(diagnosis.to_json())["verdict"]
    assert diagnosis.to_dict()["findings"][1] == diagnosis.findings[1].to_dict()
    text = str(diagnosis)
    assert text.startswith("disconnected (step 0): no gradient reaches 41.spare: no operation reads it")
    assert "\nalso vanishing: the gradient falls by 17 decades, from" in text
    assert set(diagnosis.findings[0].to_dict()) == {"kind", "layers", "evidence", "remedies"}


def test_nothing_recorded_is_no_diagnosis():
    with watch(mlp(2, 8, nn.Tanh)) as monitor, pytest.raises(RuntimeError, match="nothing is recorded yet"):
        monitor.diagnosis()


def test_the_worst_kind_is_the_verdict():
    assert (
        Diagnosis([Finding(kind, [], "") for kind in FINDING_KINDS]).verdict == "nan"
        and Diagnosis().verdict == "healthy"
    )


def test_a_diagnosis_is_shown_in_one_line_and_in_notebooks_as_a_table():
    names = [f"<{i}>" for i in range(40)]
    diagnosis = Diagnosis([Finding("vanishing", names, "||dz|| < 1", [Remedy("<b>", tried="it helped")])], NOTHING, 3)
    assert repr(diagnosis) == "Diagnosis(vanishing at step 3: vanishing)"
    shown = diagnosis._repr_html_()
    assert "<b>vanishing</b> (step 3)" in shown and "||dz|| &lt; 1" in shown and "(40 layers)" in shown
    assert "&lt;b&gt; (it helped)" in shown
    assert shown.count("<tr") == 2 and "&lt;b&gt;" in shown and "<td><b>" not in shown and "<0>" not in shown
    assert repr(Diagnosis()) == "Diagnosis(healthy at step 0)" and "<table" not in Diagnosis()._repr_html_()


def test_a_diagnosis_has_its_profile_as_a_frame_a_picture_and_json():
    model, batch = problem("H: He relu 10")
    diagnosis = diagnose(model, batch, scaled(1.0))
    frame = diagnosis.frame()
    assert list(frame.columns) == ["depth", "signal", "calls", "strongest"] and len(frame) == 11
    assert np.log10(frame["signal"].iloc[0] / frame["signal"].iloc[-1]) == pytest.approx(diagnosis.fall.decades.point)
    assert len(diagnosis.plot().frame) == 11 and "<img alt=" in diagnosis._repr_html_()
    written = json.loads(diagnosis.to_json())
    assert written["schema"] == 1 and written["fall"] == pytest.approx(diagnosis.fall.decades.point)
    assert [level["depth"] for level in written["levels"]] == list(range(11))
    assert written["levels"][0]["layers"] == ["20"]
    one, batch = problem("one layer")
    alone = diagnose(one, batch, scaled(1.0))
    assert json.loads(alone.to_json())["fall"] is None and "nan" not in str(alone)
    with pytest.raises(ValueError, match="no profile to draw"):
        alone.plot()


def test_what_is_not_finite_is_null_in_json():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1]) * torch.inf

    written = diagnose(Broken(), (torch.randn(3, 6, 4), torch.zeros(3, dtype=torch.long)), F.cross_entropy).to_json()
    assert json.loads(written, parse_constant=lambda name: pytest.fail(name))["verdict"] == "nan"


class Parts(nn.Module):
    """Two parts, each with a norm, that may be trained in turns, and one that never is."""

    def __init__(self, spare=False):
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 8))
        self.b = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 1))
        if spare:
            self.spare = nn.Linear(8, 8)


def through_both(model, x):
    return model.b(model.a(x)).square().mean()


def past_a_detach(model, x):
    return model.b(model.a(x).detach()).square().mean()


@torch.no_grad()
def generated(model, x):
    return model.a(x)


TURNS = {
    "a critic behind a detach": (through_both, past_a_detach),
    "a critic behind no_grad": (through_both, lambda model, x: model.b(generated(model, x)).square().mean()),
    "a critic alone": (through_both, lambda model, x: model.b(x).square().mean()),
    "two heads, both computed": (
        lambda model, x: (model.a(x).square().mean(), model.b(x))[0],
        lambda model, x: (model.a(x), model.b(x).square().mean())[1],
    ),
}


def in_turns(model, losses, cleared, steps=5):
    """The diagnosis after each step; only the gradients of what a step trains are cleared, or all."""
    optimizer, found = torch.optim.SGD(model.parameters(), 0.01), []
    with watch(model, every=1) as monitor:
        for step in range(steps):
            (model if cleared else model.b).zero_grad()
            losses[step % 2](model, torch.randn(16, 8)).backward()
            monitor.step()
            found.append(monitor.diagnosis())
            optimizer.step()
    return found


def disconnected(diagnosis):
    return [name for finding in diagnosis.findings if finding.kind == "disconnected" for name in finding.layers]


@pytest.mark.parametrize("cleared", [True, False])
@pytest.mark.parametrize("name", TURNS)
def test_parts_that_take_turns_are_not_disconnected(name, cleared):
    found = in_turns(Parts(), TURNS[name], cleared)
    assert [disconnected(diagnosis) for diagnosis in found[1:]] == [[]] * 4
    assert any("a.0" in note and "at another" in note for note in found[1].notes)
    if TURNS[name][0] is through_both:
        assert found[0].notes == found[2].notes == []


@pytest.mark.parametrize("name", TURNS)
def test_beside_parts_that_take_turns_what_never_has_a_gradient_is_disconnected(name):
    assert [disconnected(diagnosis) for diagnosis in in_turns(Parts(spare=True), TURNS[name], True)[1:]] == [
        ["spare"]
    ] * 4


def test_one_parameter_of_a_module_takes_no_turns():
    def without_a_bias(model, x):
        return F.linear(model.a(x), model.b[0].weight, model.b[0].bias.detach()).square().mean()

    found = in_turns(Parts(), (through_both, without_a_bias), True, steps=2)
    assert "b.0.bias" in disconnected(found[1])


class ReZero(nn.Module):
    """Residual branches behind factors that start at 0."""

    def __init__(self, branches=6):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 3)
        self.branches = nn.ModuleList(nn.Linear(8, 8) for _ in range(branches))
        self.factors = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(branches))

    def forward(self, x):
        x = self.first(x)
        for branch, factor in zip(self.branches, self.factors, strict=True):
            x = x + factor * branch(x)
        return self.last(x)


@pytest.mark.parametrize(("opened", "verdict"), [(False, "exploding"), (True, "nan")])
def test_a_step_that_is_not_finite_has_a_finding(opened, verdict):
    """Also where what is below the factors is not judged yet."""
    model, x = ReZero(), torch.randn(16, 8)
    with watch(model, every=1) as monitor:
        if opened:
            model(x).square().mean().backward()
            monitor.step()
            assert monitor.diagnosis().findings == [] and monitor.diagnosis().notes
            model.zero_grad()
        with torch.no_grad():
            for factor in model.factors:
                factor.fill_(1e5)
            for module in (model.first, *model.branches):
                nn.init.zeros_(module.bias)
            model.first.weight *= 1e-30
        loss = 1e20 * model(x).sum()
        loss.backward()
        monitor.step()
    assert loss.isfinite() and not model.first.weight.grad.isfinite().all()
    assert monitor.diagnosis().verdict == verdict
