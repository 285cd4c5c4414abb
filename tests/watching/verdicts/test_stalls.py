import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import backpropagate, batch, mlp

from vgexp.watching.monitor import watch


def run(model, optimizer, steps=4, clear=True, given=True, update=None):
    with watch(model, every=1, optimizer=optimizer if given else None) as monitor:
        for seed in range(steps):
            if clear:
                optimizer.zero_grad()
            backpropagate(model, *batch(seed=seed))
            monitor.step()
            optimizer.step()
    return [finding for finding in monitor.diagnosis().findings if finding.kind == "not_updated"]


def sgd(parameters, lr=0.1):
    return torch.optim.SGD(parameters, lr)


@pytest.mark.parametrize("given", [True, False])
def test_a_layer_that_the_optimizer_lacks(given):
    """Its gradients pile up, as the optimizer clears only what it has: that is no finding of its own. The advice,
    taken, mends it."""
    model = mlp()
    (finding,) = run(model, sgd(model[:6].parameters()), given=given)
    assert finding.layers == ["6"] and "6" in finding.evidence
    assert "model.parameters()" in finding.remedy
    assert run(model, sgd(model.parameters()), given=given) == []
    optimizer = sgd(model[:6].parameters())
    optimizer.add_param_group({"params": model[6].parameters()})
    assert run(model, optimizer, given=given) == []


def test_a_layer_that_was_replaced():
    model = mlp()
    optimizer = sgd(model.parameters())
    model[2] = nn.Linear(16, 16)
    (finding,) = run(model, optimizer)
    assert finding.layers == ["2"] and "after the optimizer was made" in finding.evidence
    assert run(model, sgd(model.parameters())) == []


def test_a_learning_rate_of_0_counts_if_it_stays():
    """A warm-up begins at 0."""
    model = mlp()
    optimizer = sgd([{"params": model[:4].parameters()}, {"params": model[4:].parameters(), "lr": 0.0}])
    (finding,) = run(model, optimizer)
    assert finding.layers == ["4", "6"] and "group 1 of SGD is 0" in finding.evidence
    optimizer = sgd(model.parameters())
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    with watch(model, every=1, optimizer=optimizer) as monitor:
        for seed in range(3):
            optimizer.zero_grad()
            backpropagate(model, *batch(seed=seed))
            monitor.step()
            optimizer.step()
            warm.step()
            assert bool(monitor.diagnosis().findings) is (seed == 0)


def test_a_model_that_nobody_trains_has_no_finding():
    model = mlp()
    assert run(model, sgd([torch.zeros(1, requires_grad=True)]), clear=False, given=False, steps=1) == []
    with watch(model, every=1) as monitor:
        for seed in range(5):
            model.zero_grad()
            backpropagate(model, *batch(seed=seed))
            monitor.step()
    assert monitor.diagnosis().findings == []


def test_a_layer_without_a_gradient_may_stand_still():
    model = mlp()
    nn.init.zeros_(model[6].weight)
    optimizer = sgd(model[6].parameters(), 0.0)
    assert run(model, optimizer, given=False) == []


@pytest.mark.parametrize("given", [True, False])
def test_gradients_that_are_never_cleared(given):
    model = mlp()
    (finding,) = run(model, sgd(model.parameters()), clear=False, given=given)
    assert finding.layers == ["0", "2", "4", "6"] and "not cleared" in finding.evidence
    assert run(model, sgd(model.parameters()), clear=True, given=given) == []


@pytest.mark.parametrize("seed", range(6))
def test_old_gradients_do_not_hide_dead_layers(seed):
    """Gradients pile up, weights blow up, units die; what is left of them is not 0. Where outputs become infinite, at a
    step that rounding decides, they come before a gradient of 0."""
    torch.manual_seed(seed)
    model = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(64, 64), nn.ReLU())], nn.Linear(64, 10))
    x, y = torch.randn(32, 64), torch.randint(10, (32,))
    optimizer = sgd(model.parameters(), 0.5)
    with watch(model, every=1) as monitor:
        for step in range(60):
            F.cross_entropy(model(x), y).backward()
            monitor.step()
            frame = monitor.frame().query("step == @step").set_index("name")
            dz = frame["dz_rms"]
            optimizer.step()
            if step >= 20:
                diagnosis = monitor.diagnosis()
                assert diagnosis.findings
                if not frame["z_rms"].map(math.isfinite).all():
                    assert diagnosis.verdict == "nan"
                    continue
                dead = {name for finding in diagnosis.findings if finding.kind == "dead" for name in finding.layers}
                assert dead == set(dz.index[dz == 0])
