import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import mlp

from vgexp.watching.checkup import diagnose


def problem():
    torch.manual_seed(0)
    model = mlp(6, 16, nn.ReLU, norm=nn.BatchNorm1d).insert(2, nn.Dropout(0.5))
    return model, (torch.randn(32, 16), torch.randint(10, (32,)))


def test_the_model_is_left_as_it_was():
    model, batch = problem()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [(parameter, parameter.grad, parameter.grad.clone()) for parameter in model.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    diagnose(model, batch, F.cross_entropy)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is gradient and torch.equal(gradient, before) for p, gradient, before in gradients)
    assert not any(module._forward_hooks for module in model.modules())


def test_also_when_it_raises():
    model, (x, _) = problem()
    before = model[1].running_mean.clone()
    with pytest.raises(ValueError, match="batch_size"):
        diagnose(model, (x, torch.zeros(7, dtype=torch.long)), F.cross_entropy)
    assert torch.equal(model[1].running_mean, before)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_mode_is_kept():
    model, batch = problem()
    assert not diagnose(model.eval(), batch, F.cross_entropy).findings or not model.training
    assert not any(module.training for module in model.modules())
