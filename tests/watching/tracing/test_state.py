import pytest
import torch
from torch import nn

from vgexp.watching.tracing.state import untouched


@pytest.mark.parametrize("raises", [False, True])
def test_gradients_buffers_and_random_numbers_come_back(raises):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[0].weight.grad = gradient = torch.ones(3, 3)
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    try:
        with untouched(model):
            assert model[0].weight.grad is None
            model(torch.randn(4, 3)).sum().backward()
            if raises:
                raise ValueError
    except ValueError:
        assert raises
    assert model[0].weight.grad is gradient and model[0].bias.grad is None
    assert torch.equal(model[1].running_mean, torch.zeros(3))
    assert torch.equal(torch.rand(2), expected)
