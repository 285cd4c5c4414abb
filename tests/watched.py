"""Small models that tests watch, and their numbers without a hook."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

from vgexp.networks import ACTIVATIONS
from vgexp.watching.monitor import watch


def mlp(phi=nn.Tanh, depth=3, width=16, classes=5):
    torch.manual_seed(0)
    hidden = [module for _ in range(depth) for module in (nn.Linear(width, width), phi())]
    return nn.Sequential(*hidden, nn.Linear(width, classes))


def batch(n=12, width=16, classes=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator), torch.randint(classes, (n,), generator=generator)


def examples(n=24):
    """Examples for loaders, as other people's loops read them."""
    generator = torch.Generator().manual_seed(3)
    return TensorDataset(torch.randn(n, 16, generator=generator), torch.randint(5, (n,), generator=generator))


def rms(x):
    return float(x.detach().double().square().mean().sqrt())


def by_hand(layers, x, y, phi=torch.tanh):
    """rms(z), rms(dz), rms(dW) of a chain of linear layers, without a hook and in float64."""
    h, zs = x.double(), []
    weights = [layer.weight.detach().double().requires_grad_() for layer in layers]
    for layer, weight in zip(layers, weights, strict=True):
        zs.append(F.linear(h, weight, layer.bias.detach().double()))
        h = phi(zs[-1]) if layer is not layers[-1] else zs[-1]
    dz = torch.autograd.grad(F.cross_entropy(h, y), [*zs, *weights])
    return {
        "z_rms": [rms(z) for z in zs],
        "dz_rms": [rms(d) for d in dz[: len(zs)]],
        "dw_rms": [rms(d) for d in dz[len(zs) :]],
        "w_rms": [rms(weight) for weight in weights],
    }


def agree(frame, expected, columns=("z_rms", "dz_rms", "dw_rms", "w_rms"), rel=1e-5):
    for column in columns:
        assert frame[column].tolist() == pytest.approx(expected[column], rel=rel), column


def backpropagate(model, x, y):
    F.cross_entropy(model(x), y).backward()


def linears(model):
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


def train(model, watched, steps=12, every=1, **options):
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    monitor = watch(model, every=every, **options) if watched else None
    for step in range(steps):
        x, y = batch(seed=step)
        backpropagate(model, x, y)
        if monitor:
            monitor.step()
        optimizer.step()
        optimizer.zero_grad()
    if monitor:
        monitor.close()
    return monitor


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


def row(layer, dz, depth=0, above=(), **others):
    """What is known of a call, by hand."""
    numbers = ("z_rms", "h_mean", "h_std", "saturation", "dead", "dw_rms", "w_rms")
    head = {"step": 0, "layer": layer, "name": f"l{layer}", "call": 0, "module": "Linear", "activation": ""}
    place = {
        "index": layer,
        "depth": depth,
        "above": list(above),
        "operations": [],
        "plumbing": [],
        "twin": False,
        "empty": False,
    }
    beside = {"inputs": "numbers", "broken": (), "frozen": False, "fan_in": 0, "off": []}
    beside |= {"dtype": torch.float32, "zeros": 0.0, "underflow_below": 1e-30}
    beside |= {"law": ACTIVATIONS.get(others.get("activation", ""))}
    return {**head, **dict.fromkeys(numbers, math.nan), **place, **beside, "dz_rms": dz, "dz_norm": dz, **others}


def chain(log10_L, **others):
    """Calls one below the other, from the input up."""
    top = len(log10_L) - 1
    return [row(i, 10.0**x, top - i, [i + 1] * (i < top), **others) for i, x in enumerate(log10_L)]
