"""Every way of running a chain gives the gradients and the training of storing everything."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from samples import small

from vgexp.networks.checkpoint import extra_steps, revolve, segment_length, split, store, uniform

WAYS = ["1", "2", "3", "sqrt", "revolve(1)", "revolve(2)", "revolve(3)", "revolve(9)"]


def ran(every, **changes):
    every = int(every) if every.isdigit() else every
    return small(memory="checkpoint", checkpoint__every=every, **changes)


@pytest.mark.parametrize("every", WAYS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_is_bitwise_that_of_storing(every, optimizer, train_all):
    runs = {"model__depth": 7, "optim__name": optimizer, "probe__tier": "full", "steps": 4}
    stored, other = train_all(small(**runs)), train_all(ran(every, **runs))
    for a, b in zip(stored.stack.network.matrices, other.stack.network.matrices, strict=True):
        assert torch.equal(a.weight_MIO, b.weight_MIO)
        assert torch.equal(a.bias_M1O, b.bias_M1O)
    for name, table in stored.records.tables().items():
        found = other.records.tables()[name].drop(columns="run")
        assert found.equals(table.drop(columns="run")), name


@pytest.mark.parametrize("every", WAYS)
def test_the_reversible_family_too(every, train_all):
    runs = {"model__family": "reversible", "model__depth": 6, "steps": 4}
    stored, other = train_all(small(**runs)), train_all(ran(every, **runs))
    for a, b in zip(stored.stack.network.matrices, other.stack.network.matrices, strict=True):
        assert torch.equal(a.weight_MIO, b.weight_MIO)


@pytest.mark.parametrize("on", ["batch", "monitor"])
def test_each_probe_fires_once(on, train_all):
    """One row a layer and step, with every quantity: nothing is seen twice, nothing is missed."""
    layers = train_all(ran("2", probe__on=on, probe__tier="full")).records.tables()["layers"]
    assert len(layers) == 11 * 4
    assert layers[["z_rms", "dz_rms", "dw_rms"]].notna().all(axis=None)


class Counted:
    """A chain of n steps h -> tanh(w h) that counts how often each is run, and how often for the first time."""

    def __init__(self, n):
        self.weights = [torch.full((), 0.9, dtype=torch.float64, requires_grad=True) for _ in range(n)]
        self.ran, self.first = [0] * n, [0] * n

    def steps(self):
        def step(index):
            def run(state, first):
                self.ran[index] += 1
                self.first[index] += first
                return (torch.tanh(self.weights[index] * state[0]),)

            return run

        return [step(index) for index in range(len(self.weights))]

    def gradients(self, way, **options):
        (h,) = way(self.steps(), (torch.full((3,), 0.5, dtype=torch.float64),), **options)
        h.sum().backward()
        return torch.stack([w.grad for w in self.weights])


@cache
def fewest(n, s):
    """The dynamic programme of Griewank & Walther: fewest steps besides the taped ones."""
    if n == 1:
        return 0
    if s == 1:
        return n * (n - 1) // 2
    return min(m + fewest(n - m, s - 1) + fewest(m, s) for m in range(1, n))


def test_the_formula_is_the_optimum():
    for s in range(1, 7):
        for n in range(1, 61):
            assert extra_steps(n, s) == fewest(n, s)


@given(st.integers(1, 40), st.integers(1, 12))
def test_revolve_runs_as_many_steps_as_the_formula_says(n, snapshots):
    stored, reversed_ = Counted(n), Counted(n)
    torch.testing.assert_close(
        reversed_.gradients(revolve, snapshots=snapshots), stored.gradients(store), rtol=0, atol=0
    )
    assert sum(reversed_.ran) == n + extra_steps(n, snapshots)
    assert reversed_.first == [1] * n


@given(st.integers(1, 30), st.integers(1, 8))
def test_segments_run_each_step_twice_at_most(n, every):
    stored, cut = Counted(n), Counted(n)
    torch.testing.assert_close(cut.gradients(uniform, every=every), stored.gradients(store), rtol=0, atol=0)
    assert cut.first == [1] * n
    assert max(cut.ran) <= 2


def test_splits_are_inside():
    assert all(1 <= split(n, s) < n for n in range(2, 50) for s in range(2, 6))
    assert [segment_length(n) for n in (1, 16, 1024)] == [1, 4, 32]
