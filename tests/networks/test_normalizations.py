"""Norms against torch's own, at M = 1 and stacked."""

import pytest
import torch
from samples import small
from torch import nn

from vgexp.networks.building import build
from vgexp.networks.normalizations import EPS, NORMS, Statistics
from vgexp.networks.parts import RUNNING_SHARE, Norm

SHAPES = [(6, 12), (12, 12), (12, 5), (2, 3)]


def torchs(name, units):
    """torch's module, in float64, with a gain and a shift that are not the first ones."""
    make = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "rms": lambda n: nn.RMSNorm(n, eps=EPS)}[name]
    module = make(units).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(1))
    return module


def ours(name, modules, units):
    """A stack of norms with the gains and shifts of torch's modules."""
    normalization = NORMS[name]
    weight = torch.stack([module.weight.detach()[None] for module in modules])
    bias = torch.stack([module.bias.detach()[None] for module in modules]) if normalization.centered else None
    rates = {name: torch.ones(len(modules), 1, 1, dtype=torch.float64) for name in ("weight", "bias")}
    running = Statistics(torch.zeros_like(weight), torch.ones_like(weight)) if normalization.over_examples else None
    return Norm(1, "norm", normalization, weight, bias, rates, running)


class Seen:
    """Keeps the gradients that a norm hands over."""

    def backward(self, part, gradient):
        self.mean = {name: gradient.mean(name) for name in part.tensors}

    def updated(self, part):
        pass


@pytest.mark.parametrize("name", [name for name in NORMS if name != "none"])
@pytest.mark.parametrize(("examples", "units"), SHAPES)
def test_outputs_and_gradients_are_torchs(name, examples, units):
    """Also where the batch has as many examples as there are units, and for every member alone."""
    modules = [torchs(name, units) for _ in range(3)]
    norm, seen = ours(name, modules, units), Seen()
    x_MBN = torch.randn(3, examples, units, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 + 1
    dy_MBN = torch.randn(3, examples, units, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x_MBN.requires_grad_()
    y_MBN, _ = norm(x_MBN, seen)
    (dx_MBN,) = torch.autograd.grad(y_MBN, x_MBN, dy_MBN)
    for m, module in enumerate(modules):
        x = x_MBN[m].detach().clone().requires_grad_()
        y = module(x)
        y.backward(dy_MBN[m])
        torch.testing.assert_close(y_MBN[m], y, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(dx_MBN[m], x.grad, rtol=1e-10, atol=1e-12)
        for key, parameter in module.named_parameters():
            torch.testing.assert_close(seen.mean[key][m, 0] * examples, parameter.grad, rtol=1e-12, atol=1e-12)


def test_running_statistics_are_torchs():
    module = torchs("batch", 5)
    norm = ours("batch", [module], 5)
    assert module.momentum == RUNNING_SHARE and module.eps == EPS
    for step in range(3):
        x = torch.randn(7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(step)) * (step + 1) + step
        module(x)
        _, taken = norm(x[None])
        norm.follow(taken, 7)
    torch.testing.assert_close(norm.running.mean_M1N[0, 0], module.running_mean)
    torch.testing.assert_close(norm.running.variance_M1N[0, 0], module.running_var)
    module.eval()
    x = torch.randn(4, 5, dtype=torch.float64)
    y, taken = norm(x[None], statistics=norm.running)
    torch.testing.assert_close(y[0], module(x))
    assert taken is None


def test_running_statistics_follow_the_training_steps_alone(train_all):
    """Not the observed last one, nor the monitoring examples, nor a block that is run again."""
    run = small(model__norm="batch", steps=3, probe__on="monitor", memory="checkpoint", eval__every=1)
    training = train_all(run)
    alone = build([run], 64, 10, torch.device("cpu"))  # the same weights, to be followed by hand
    assert len(alone.running()) == 3
    first = small(model__norm="batch", steps=1)
    x_MBI, _ = training.stack.stream.batch(0)
    statistics = {}
    alone(x_MBI, statistics=statistics)
    found = train_all(first).stack.network.running()
    for key, batch in statistics.items():
        torch.testing.assert_close(found[key].mean_M1N, RUNNING_SHARE * batch.mean_M1N)
        unbiased = batch.variance_M1N * 6 / 5
        torch.testing.assert_close(found[key].variance_M1N, 1 - RUNNING_SHARE + RUNNING_SHARE * unbiased)


def test_evaluation_uses_the_running_statistics(train_all):
    training = train_all(small(model__norm="batch", steps=5))
    network, (x_1KI, _) = training.stack.network, training.stack.stream.test()
    with torch.no_grad():
        whole = network(x_1KI, statistics=network.running())
        halves = [network(part, statistics=network.running()) for part in x_1KI.split(100, 1)]
        torch.testing.assert_close(whole, torch.cat(halves, 1))
        assert not torch.allclose(whole, network(x_1KI))


def test_the_jacobian_keeps_the_statistics_of_the_batch(train_all):
    """Against torch's batch normalisation with these statistics, for the first example."""
    network = train_all(small(model__norm="batch", steps=0)).stack.network
    state = torch.randn(1, 6, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight, bias = (tensor[0].detach() for tensor in network.parts[2, ""].tensors.values())
    z = state[0] @ weight + bias
    mean, variance = z.mean(0), z.var(0, correction=0)

    def block(x):
        return torch.tanh(nn.functional.batch_norm(x @ weight + bias, mean, variance)[0])

    expected = torch.autograd.functional.jacobian(block, state[0, 0])
    torch.testing.assert_close(network.jacobian(2, (state,))[0], expected)


def test_what_is_normalized():
    """Each example over its units, or each unit over its examples, has mean 0 and variance 1."""
    x_MBN = torch.randn(2, 50, 40, dtype=torch.float64) * 3 + 5
    for name, dim in (("batch", 1), ("layer", 2)):
        n_MBN, _, _ = NORMS[name].forward(x_MBN, None)
        torch.testing.assert_close(n_MBN.mean(dim), torch.zeros_like(n_MBN.mean(dim)), atol=1e-10, rtol=0)
        torch.testing.assert_close(n_MBN.var(dim, correction=0), torch.ones_like(n_MBN.mean(dim)), atol=1e-5, rtol=0)
    n_MBN, _, _ = NORMS["rms"].forward(x_MBN, None)
    torch.testing.assert_close(n_MBN.square().mean(2), torch.ones(2, 50, dtype=torch.float64), atol=1e-5, rtol=0)
