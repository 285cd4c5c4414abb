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


class Registers(nn.Module):
    """Buffers that are made by the first pass: of one that was None, one that was not there, one that is not saved;
    and one that is taken away."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.register_buffer("mask", None)
        self.register_buffer("kept", None, persistent=False)
        self.register_buffer("once", torch.ones(3))

    def forward(self, x):
        if self.mask is None:
            self.mask, self.kept = torch.ones(len(x), 1), torch.ones(3)
            self.register_buffer("late", torch.ones(3))
            self.register_buffer("cache", torch.ones(3), persistent=False)
            del self.once
        return self.a(x) * self.mask * self.cache


def test_buffers_are_registered_as_they_were():
    model = nn.Sequential(Registers())
    before, once = list(model.state_dict()), model[0].once
    with untouched(model):
        model(torch.randn(4, 3)).sum().backward()
        assert "0.late" in model.state_dict()
    assert list(model.state_dict()) == before and model[0].mask is model[0].kept is None and model[0].once is once
    assert not hasattr(model[0], "late") and not hasattr(model[0], "cache")
    model(torch.randn(5, 3))  # in this order: a mask that had stayed would have another size
    assert [name for name in model.state_dict() if "a." not in name] == ["0.mask", "0.late"]


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
