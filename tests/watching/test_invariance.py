"""Equal gradients get an equal verdict, however a model is written and called."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import Functional, gaussian, he, mlp

from vgexp.watching.checkup import diagnose

CHAINS = {
    "healthy": (10, nn.ReLU, F.relu, he),
    "undecided": (5, nn.ReLU, F.relu, None),
    "vanishing": (12, nn.Sigmoid, torch.sigmoid, None),
    "exploding": (40, nn.Tanh, torch.tanh, gaussian(2.5)),
}
"""By verdict: depth, activation as a module and as a function, and the law of the weights."""


def chain(verdict):
    depth, phi, _, law = CHAINS[verdict]
    torch.manual_seed(0)
    return mlp(depth, 64, phi, law)


def flat(n=64, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 64, generator=generator), torch.randint(10, (n,), generator=generator)


def said(model, batch, loss_fn=F.cross_entropy):
    return diagnose(model, batch, loss_fn).verdict


class Split(nn.Module):
    """The same network, called once for each part of the batch."""

    def __init__(self, inner, parts):
        super().__init__()
        self.inner, self.parts = inner, parts

    def forward(self, x):
        return torch.cat([self.inner(part) for part in x.chunk(self.parts)])


@pytest.mark.parametrize("verdict", CHAINS)
def test_whatever_the_scale_of_the_loss(verdict):
    model = chain(verdict)
    losses = [partial(lambda k, *given: k * F.cross_entropy(*given), scale) for scale in (1e-12, 1.0, 1e6)]
    assert [said(model, flat(), loss_fn) for loss_fn in losses] == 3 * [verdict]


@pytest.mark.parametrize("verdict", CHAINS)
def test_whatever_the_type(verdict):
    model, (x, y) = chain(verdict), flat()
    assert said(model, (x, y)) == said(model.double(), (x.double(), y)) == verdict


@pytest.mark.parametrize("parts", [2, 8])
@pytest.mark.parametrize("verdict", CHAINS)
def test_whether_the_batch_is_split_over_calls(verdict, parts):
    assert said(Split(chain(verdict), parts), flat()) == verdict


@pytest.mark.parametrize("verdict", CHAINS)
def test_whatever_modules_are_wrapped_around(verdict):
    """Of every layer alone, of pairs, and of the whole."""
    model = chain(verdict)
    alone = nn.Sequential(*(nn.Sequential(nn.Sequential(module)) for module in model))
    pairs = nn.Sequential(*(nn.Sequential(*model[i : i + 2]) for i in range(0, len(model), 2)))
    for wrapped in (alone, pairs, Split(Split(model, 1), 1)):
        assert said(wrapped, flat()) == verdict


@pytest.mark.parametrize("verdict", CHAINS)
def test_whether_activations_are_modules_or_functions(verdict):
    depth, _, phi, _ = CHAINS[verdict]
    modules, functions = chain(verdict), Functional(depth, 64, phi)
    for mine, other in zip([*functions.layers, functions.head], modules[::2], strict=True):
        mine.load_state_dict(other.state_dict())
    assert torch.equal(modules(flat()[0]), functions(flat()[0]))
    assert said(modules, flat()) == said(functions, flat()) == verdict


GAINS = (1.0, 1e-3, 1.0)


class Branches(nn.Module):
    """In each block some layers side by side, one of them weak, as a fresh transformer's queries and keys are."""

    def __init__(self, depth, order, scale):
        super().__init__()
        self.blocks, self.order = nn.ModuleList(nn.ModuleList() for _ in range(depth)), order
        for block in self.blocks:
            for _ in GAINS:
                layer = nn.Linear(64, 64)
                nn.init.orthogonal_(layer.weight, scale * math.sqrt(0.5))
                block.append(layer)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        for block in self.blocks:
            x = sum(GAINS[i] * block[i](x) for i in self.order)
        return self.head(x)


@pytest.mark.parametrize(("scale", "verdict"), [(1.0, "healthy"), (0.3, "vanishing"), (3.0, "exploding")])
def test_whatever_the_order_of_parallel_branches(scale, verdict):
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)):
        torch.manual_seed(0)
        assert said(Branches(8, order, scale), flat()) == verdict


class Towers(nn.Module):
    """One tower for each of several views: called for each, or once for all of them."""

    def __init__(self, tower, stacked):
        super().__init__()
        self.tower, self.stacked = tower, stacked

    def forward(self, views):
        return self.tower(torch.cat(views)).chunk(len(views)) if self.stacked else tuple(map(self.tower, views))


def alike(outputs, _):
    a, b = (F.normalize(output, dim=1) for output in outputs)
    return F.cross_entropy(a @ b.T / 0.5, torch.arange(len(a)))


@pytest.mark.parametrize("verdict", CHAINS)
def test_whether_views_are_stacked(verdict):
    views = flat(32, seed=1)[0], flat(32, seed=2)[0]
    one, two = (said(Towers(chain(verdict), stacked), (views, None), alike) for stacked in (False, True))
    assert one == two


def test_whatever_else_is_differentiated():
    """An inner gradient, taken with a graph and left out of the loss, brings nothing to any weight."""

    class Inner(nn.Module):
        def __init__(self, tower, times):
            super().__init__()
            self.tower, self.times = tower, times

        def forward(self, x):
            x = x.detach().requires_grad_()
            output = self.tower(x)
            for _ in range(self.times):
                torch.autograd.grad(1e6 * output.sum(), x, retain_graph=True)
            return output

    for verdict in CHAINS:
        assert [said(Inner(chain(verdict), times), flat()) for times in (0, 1, 3)] == 3 * [verdict]
