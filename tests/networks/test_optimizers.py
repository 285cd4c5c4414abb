from dataclasses import replace

import pytest
import torch
from samples import small
from torch import nn

from vgexp.networks.families import FAMILIES, plain
from vgexp.networks.optimizers import OPTIMIZERS

TORCH = {
    "sgd": lambda p, o: torch.optim.SGD(p, lr=o.lr),
    "momentum": lambda p, o: torch.optim.SGD(p, lr=o.lr, momentum=o.momentum),
    "adam": lambda p, o: torch.optim.Adam(p, lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps),
}
RATES = {"weight": 0.5, "bias": 3.0}


def rated(run, inputs, classes):
    """Parts of a plain network whose tensors have rates of their own."""
    return [
        replace(part, rate=RATES["weight"], bias_rate=RATES["bias"]) for part in plain.blueprints(run, inputs, classes)
    ]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 6])
@pytest.mark.parametrize("rates", [{}, RATES], ids=["one rate", "a rate a tensor"])
def test_training_is_torchs_at_one_member(name, batch_size, rates, train_all, monkeypatch):
    """30 steps of the whole network against nn.Sequential and torch.optim, thin and fat batches."""
    if rates:
        monkeypatch.setitem(FAMILIES, "plain", replace(plain.FAMILY, blueprints=rated))
    run = small(optim__name=name, optim__lr=0.02, steps=30, data__batch_size=batch_size)
    start = train_all(small(steps=0))
    model = nn.Sequential(
        *(part for i, o in [(64, 12), (12, 12), (12, 12)] for part in (nn.Linear(i, o), nn.Tanh())),
        nn.Linear(12, 10),
    ).double()
    linears = [module for module in model if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for linear, layer in zip(linears, start.stack.network.matrices, strict=True):
            linear.weight.copy_(layer.weight_MIO[0].T)
            linear.bias.copy_(layer.bias_M1O[0, 0])
    training = train_all(run)
    groups = [
        {"params": [getattr(linear, tensor) for linear in linears], "lr": run.optim.lr * rates.get(tensor, 1.0)}
        for tensor in ("weight", "bias")
    ]
    optimizer = TORCH[name](groups, run.optim)
    for step in range(30):
        x, y = training.stack.stream.batch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[0]), y[0]).backward()
        optimizer.step()
    for linear, layer in zip(linears, training.stack.network.matrices, strict=True):
        torch.testing.assert_close(layer.weight_MIO[0].T, linear.weight, atol=1e-11, rtol=1e-9)
        torch.testing.assert_close(layer.bias_M1O[0, 0], linear.bias, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_ratio_is_the_change_that_happened(name, train_all):
    run = small(optim__name=name, optim__lr=0.02, steps=5)
    before = train_all(run)
    after = train_all(small(optim__name=name, optim__lr=0.02, steps=6))
    layers = after.records.tables()["layers"]
    for old, new in zip(before.stack.network.matrices, after.stack.network.matrices, strict=True):
        start, end = old.weight_MIO.detach(), new.weight_MIO.detach()
        change = (end - start).square().mean().sqrt() / start.square().mean().sqrt()
        row = layers[(layers["step"] == 5) & (layers["layer"] == old.layer)].iloc[0]
        assert row["update_ratio"] == pytest.approx(float(change), rel=1e-9)
