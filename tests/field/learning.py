"""Does it train? And batches in the type of a model."""

import math

import torch
from torch import nn
from torch.utils._pytree import tree_map

SPEEDS = {"Adam": (0.3, 3.0), "SGD": (0.003, 0.03, 0.3)}
"""Learning rates: Adam's relative to the network's own, those of SGD with momentum as they are."""


def cast(values, dtype):
    """A module, in place, or the tensors in nested values in another floating-point type."""

    def convert(x):
        if not torch.is_tensor(x) or not (x.is_floating_point() or x.is_complex()):
            return x
        return x.to(dtype.to_complex() if x.is_complex() else dtype)

    return values._apply(convert) if isinstance(values, nn.Module) else tree_map(convert, values)


def dtype_of(model):
    return next(p.dtype for p in model.parameters() if p.is_floating_point())


def adam(model, network, factor=1.0):
    return torch.optim.Adam(model.parameters(), factor * network.lr, (network.momentum, 0.999))


def train(model, network, optimizer, steps=200, seed=100):
    """Trains on fresh batches. The share of the loss (or score) that is left at the end: the median of its last tenth
    over that of its first; infinite as soon as it is not finite."""
    generator, seen, dtype = torch.Generator().manual_seed(seed), [], dtype_of(model)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(steps):
            inputs, targets = cast(network.draw(generator), dtype)
            output = model(inputs)
            loss = network.loss(output, targets)
            if not loss.isfinite():
                return math.inf
            optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward()
            optimizer.step()
            seen.append((network.score(output, inputs) if network.score else loss).item())
    few = max(steps // 20, 1)
    return torch.tensor(seen[-few:]).median().item() / torch.tensor(seen[:few]).median().item()


def learns(make, network, steps=200):
    """The first optimiser and learning rate that halve the loss of what `make()` builds, or "" if none does."""
    for name, rates in SPEEDS.items():
        for rate in rates:
            model = make()
            parameters = [p for p in model.parameters() if p.requires_grad]
            sgd = torch.optim.SGD(parameters, rate, momentum=0.9)
            if train(model, network, sgd if name == "SGD" else adam(model, network, rate), steps) < 0.5:
                return f"{name} {rate:g}"
    return ""
