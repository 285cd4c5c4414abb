import random

import numpy as np
import pytest
import torch
from torch import nn

from vgexp.watching.tracing.state import seed, untouched


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


class Remembers(nn.Module):
    """A buffer that is another tensor after each pass, one that cannot be written, a state that a graph hangs on."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("mask", torch.ones(1).expand(3))
        self.state = None

    def forward(self, x):
        z = self.a(x * self.mask)
        self.mean = 0.9 * self.mean + 0.1 * z.detach().mean(0)
        self.state = torch.tanh(z if self.state is None else z + self.state)
        self.seen = z
        return self.state


def test_tensors_that_modules_hold_and_all_random_numbers_come_back():
    model, (python, numpy) = Remembers(), (random.getstate(), np.random.get_state()[1].copy())  # noqa: NPY002
    mean = model.mean
    with untouched(model):
        for _ in range(2):
            model(torch.randn(4, 3) + random.random() + np.random.rand())  # noqa: NPY002
    assert model.mean is mean and torch.equal(mean, torch.zeros(3))
    assert model.state is None and not hasattr(model, "seen")
    assert random.getstate() == python and (np.random.get_state()[1] == numpy).all()  # noqa: NPY002


def test_what_a_waiting_graph_needs_is_not_written():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3).eval())
    loss = model(torch.randn(4, 3)).sum()
    with untouched(model):
        model(torch.randn(4, 3)).sum().backward()
    loss.backward()


def test_a_seed_is_that_of_torch():
    torch.manual_seed(7)
    expected = torch.rand(2)
    seed(nn.Linear(1, 1), 7)
    assert torch.equal(torch.rand(2), expected)
