"""Every remedy that names a number is applied to the network that it is for, here once more by hand."""

import warnings
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import gaussian, loss, mlp, problem

from vgexp.watching.checkup import diagnose
from vgexp.watching.verdicts.remedies import scaled


def rescaled(model, weights):
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, std in weights.items():
            weight = modules.get(name, model).weight
            weight.mul_(std / weight.square().mean().sqrt())


NUMBERED = ("relu default 20", "tanh default 20", "tanh exploding 40", "tanh saturated 3", "vgg")
"""The networks of the zoo for which theory has a number that helps."""


@pytest.mark.parametrize("name", NUMBERED)
def test_advice_with_a_number_improves_the_evidence(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, batch = problem(name)
        before = diagnose(model, batch, loss)
        assert any(remedy.has_number for finding in before.findings for remedy in finding.remedies)
        for finding in before.findings:
            for remedy in finding.remedies:
                if remedy.has_number:
                    model, (x, y) = problem(name)
                    rescaled(model, remedy.weights)
                    after = diagnose(model, (scaled(x, remedy.inputs), y), loss)
                    assert after.measure(finding.kind) <= 0.5 * before.measure(finding.kind)
                    assert {other.kind for other in after.findings} <= {other.kind for other in before.findings}
                    assert remedy.tried.startswith(f"tried on this batch: {after.verdict}")


@pytest.mark.parametrize(
    ("name", "named"), [("relu default 20", True), ("tanh default 20", True), ("S: sigmoid 20", False)]
)
def test_what_theory_knows_is_tried(name, named):
    model, batch = problem(name)
    (finding, *_) = diagnose(model, batch, loss).findings
    assert any(remedy.weights for remedy in finding.remedies) is named


def test_a_remedy_that_does_not_help_is_not_given():
    """The loss sees the output through 1e-12 of it: no scale of weights mends a cliff that is not theirs."""

    class Faint(nn.Module):
        def forward(self, x):
            return x.detach() + 1e-12 * (x - x.detach())

    torch.manual_seed(0)
    model = nn.Sequential(mlp(3, 64, nn.Tanh, gaussian(0.5), classes=64), Faint(), mlp(3, 64, nn.Tanh, gaussian(0.5)))
    x, y = torch.randn(32, 64), torch.randint(10, (32,))
    (finding, *_) = diagnose(model, (x, y), F.cross_entropy).findings
    assert finding.kind == "cliff" and not any(remedy.has_number for remedy in finding.remedies)


def test_inputs_that_are_not_scaled_are_found():
    torch.manual_seed(0)
    model = mlp(3, 64, nn.Tanh, inputs=12, classes=1)
    x, y = 300 * torch.rand(64, 12), torch.rand(64, 1)
    diagnosis = diagnose(model, (x, y), F.mse_loss)
    saturated = next(finding for finding in diagnosis.findings if finding.kind == "saturated")
    assert saturated.remedy.startswith("scale the inputs to mean 0") and "0% saturated" in saturated.remedies[0].tried
    assert diagnose(model, (x * saturated.remedies[0].inputs, y), F.mse_loss).verdict == "healthy"


class Regression(nn.Module):
    """Its inputs are too large; it may say its loss itself."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.seen = mlp(3, 64, nn.Tanh, inputs=12, classes=1), []

    def forward(self, x):
        return self.net(x)

    def loss(self, output, y):
        self.seen.append(y["y"] if isinstance(y, dict) else y)
        return F.mse_loss(output, self.seen[-1])


class SaysItsLoss(Regression):
    """As modules of Lightning do."""

    def training_step(self, batch):
        x, y = (batch["x"], batch["y"]) if isinstance(batch, dict) else batch
        return self.loss(self(x), y)


class TakesTheBatch(Regression):
    """In one argument: the loss gets the same dict."""

    def forward(self, batch):
        return self.net(batch["x"])


@pytest.mark.parametrize("batch_of", [lambda x, y: (x, y), lambda x, y: {"x": x, "y": y}], ids=["pair", "dict"])
@pytest.mark.parametrize("kind", [Regression, SaysItsLoss, TakesTheBatch])
def test_trials_scale_inputs_and_not_targets(kind, batch_of):
    model, batch = kind(), batch_of(300 * torch.rand(64, 12), torch.rand(64, 1))
    if kind is TakesTheBatch and isinstance(batch, tuple):
        batch = {"x": batch[0], "y": batch[1]}, batch[1]
    before = deepcopy(batch)
    found = diagnose(model, batch, None if kind is SaysItsLoss else model.loss)
    (remedy,) = {
        r.tried: r for f in found.findings if f.kind == "saturated" for r in f.remedies if r.inputs != 1
    }.values()
    assert "0% saturated" in remedy.tried
    y = batch["y"] if isinstance(batch, dict) else batch[1]
    assert len(model.seen) > 1 and all(torch.equal(seen, y) for seen in model.seen)
    assert repr(batch) == repr(before)
