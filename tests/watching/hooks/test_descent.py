"""Depths and neighbours against the networks' own plan, which is known because it is drawn at random."""

import random

import pytest
import torch
from torch import nn

from vgexp.watching.hooks.descent import numbers, operations
from vgexp.watching.monitor import watch


class Drawn(nn.Module):
    """Layer i reads the sum of some outputs of earlier layers (or the input); the loss reads some of all."""

    def __init__(self, seed, size=9):
        super().__init__()
        draw = random.Random(seed)
        self.reads = [sorted(draw.sample(range(i), draw.randint(0, min(i, 3)))) for i in range(size)]
        self.loss_reads = sorted(draw.sample(range(size), draw.randint(1, 4)))
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(size))

    def forward(self, x):
        outputs = []
        for layer, reads in zip(self.layers, self.reads, strict=True):
            outputs.append(layer(torch.tanh(sum(outputs[i] for i in reads)) if reads else x))
        return sum(outputs[i].square().sum() for i in self.loss_reads)

    def depths(self):
        """By layer, for those on which the loss depends: the longest way from the loss."""
        found = dict.fromkeys(self.loss_reads, 0)
        for i in range(len(self.layers) - 1, -1, -1):
            if i in found:
                for j in self.reads[i]:
                    found[j] = max(found.get(j, 0), found[i] + 1)
        return found


def calls_after(model, x):
    with watch(model, every=1) as monitor:
        model(x).backward()
        return monitor._listener.calls()


@pytest.mark.parametrize("seed", range(30))
def test_ways_are_those_of_the_plan(seed):
    model = Drawn(seed)
    calls = calls_after(model, torch.randn(3, 4))
    depths = model.depths()
    assert {i: call.way.depth for i, call in enumerate(calls) if call.way is not None} == depths
    for i, call in enumerate(calls):
        if i in depths:
            assert numbers(call.way.above) == [j for j in sorted(depths) if i in model.reads[j]]


def test_operations_between_neighbours_are_named():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Softmax(-1), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    first, second, last = calls_after(nn.Sequential(model, Sum()), torch.randn(3, 4))
    assert {"NativeLayerNorm", "Softmax"} <= set(operations(first.way.through))
    assert "Relu" in operations(second.way.through) and "Softmax" not in operations(second.way.through)
    assert last.way.above == 0


class Sum(nn.Module):
    def forward(self, x):
        return x.sum()


def test_a_graph_that_outlives_its_step_is_passed_over():
    """As in a recurrent network whose state is not detached: marks of an earlier step are none of this one."""
    cell, state = nn.Linear(4, 4), torch.zeros(1, 4)
    with watch(cell, every=1) as monitor:
        for _ in range(3):
            state = torch.tanh(cell(state + 1))
            state.sum().backward(retain_graph=True)
            monitor.step()
    assert monitor.frame()["depth"].tolist() == [0.0, 0.0, 0.0]


def test_two_models_that_feed_each_other_are_watched_apart():
    lower, upper = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)), nn.Linear(4, 1)
    with watch(lower, every=1) as one, watch(upper, every=1) as other:
        upper(torch.tanh(lower(torch.randn(3, 4)))).sum().backward()
        one.step()
        other.step()
    assert one.frame()["depth"].tolist() == [1.0, 0.0] and other.frame()["depth"].tolist() == [0.0]
    assert one.frame()["activation"].tolist() == ["tanh", "tanh"]
