import pytest
import torch
from samples import small
from torch import nn

from vgexp.networks.optimizers import Sgd
from vgexp.networks.parts import Matrix

RATES = dict.fromkeys(("weight", "bias"), torch.ones(1, 1, 1, dtype=torch.float64))


def stack(members=3, fan_in=7, fan_out=5, batch=4):
    g = torch.Generator().manual_seed(0)
    new = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)
    layer = Matrix(1, "", new(members, fan_in, fan_out), new(members, 1, fan_out), RATES)
    return layer, new(members, batch, fan_in), new(members, batch, fan_out)


def sgd(layer, lr=0.1, batch=4):
    return Sgd([small(optim__lr=lr, data__batch_size=batch)] * len(layer.weight_MIO), [layer])


@pytest.mark.parametrize("batch", [4, 1])
def test_forward_backward_and_update_are_those_of_nn_linear(batch):
    """batch 1 against 8 or more units is thin, batch 4 is fat: both paths."""
    layer, h, dz = stack(fan_in=9, fan_out=8, batch=batch)
    oracles = []
    for m in range(3):
        oracle = nn.Linear(9, 8).double()
        with torch.no_grad():
            oracle.weight.copy_(layer.weight_MIO[m].T)
            oracle.bias.copy_(layer.bias_M1O[m, 0])
        oracles.append(oracle)
    h.requires_grad_(True)
    z = layer(h, update=sgd(layer, batch=batch))
    z.backward(dz)
    for m, oracle in enumerate(oracles):
        x = h.detach()[m].requires_grad_(True)
        out = oracle(x)
        torch.testing.assert_close(z[m], out)
        out.backward(dz[m])
        torch.testing.assert_close(h.grad[m], x.grad)
        torch.testing.assert_close(layer.weight_MIO[m], oracle.weight.T - 0.1 * oracle.weight.grad.T / batch)
        torch.testing.assert_close(layer.bias_M1O[m, 0], oracle.bias - 0.1 * oracle.bias.grad / batch)


def test_a_second_backward_raises():
    layer, h, dz = stack()
    z = layer(h, update=sgd(layer))
    z.backward(dz, retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward(dz)


def test_shared_weights_raise():
    layer, h, dz = stack(fan_in=5, fan_out=5)
    z = layer(layer(h, update=sgd(layer)), update=sgd(layer))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward(dz)


def test_gradcheck_raises():
    layer, h, _ = stack()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.gradcheck(lambda x: layer(x, update=sgd(layer)), h.requires_grad_(True))


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
@pytest.mark.parametrize(("fan_in", "batch", "message"), [(9, 1, "in-place operation"), (7, 4, "out=")])
def test_double_differentiation_raises(fan_in, batch, message):
    layer, h, dz = stack(fan_in=fan_in, fan_out=9, batch=batch)
    z = layer(h.requires_grad_(True), update=sgd(layer))
    with pytest.raises(RuntimeError, match=message):
        z.backward(dz, create_graph=True)


def test_without_an_update_nothing_changes():
    layer, h, dz = stack()
    before = layer.weight_MIO.clone()
    layer(h).backward(dz)
    assert torch.equal(layer.weight_MIO, before)
    assert layer.weight_MIO.grad is None
