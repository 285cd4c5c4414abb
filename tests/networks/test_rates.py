"""The learning rate of a step, against torch's schedulers."""

import numpy as np
import pytest
import torch
from samples import small
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR

from vgexp.networks.rates import share
from vgexp.training.stack import Stack

STEPS = 12


def torchs(warmup, schedule, steps=STEPS):
    """The rates of steps 0..T by torch's own schedulers, one after the other."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    peak = max(warmup, 1) - 1
    last = CosineAnnealingLR if schedule == "cosine" else lambda optimizer, _: LambdaLR(optimizer, lambda step: 1.0)
    after = last(optimizer, max(1, steps - peak))
    if peak:
        rising = LinearLR(optimizer, start_factor=1 / warmup, total_iters=peak)
        after = SequentialLR(optimizer, [rising, after], [peak])
    found = []
    for _ in range(steps + 1):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        after.step()
    return found


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("warmup", [0, 1, 2, 5, 12, 13, 40])
def test_shares_are_those_of_torch(warmup, schedule):
    steps = torch.arange(STEPS + 1, dtype=torch.float64)
    found = share(steps, torch.tensor(float(warmup), dtype=torch.float64), STEPS, schedule)
    np.testing.assert_allclose(found, torchs(warmup, schedule), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_a_warm_up_rises_in_equal_parts_also_when_it_outlasts_the_training(schedule):
    steps = torch.arange(5, dtype=torch.float64)
    found = share(steps, torch.tensor(8.0), 4, schedule)
    assert found.tolist() == [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8]


def test_a_cosine_falls_from_the_whole_rate_to_none_at_the_step_without_update():
    steps = torch.arange(9, dtype=torch.float64)
    found = share(steps, torch.tensor(3.0), 8, "cosine")
    assert found[2] == 1 and found[7] > 0 and found[8] == 0
    assert (found[2:].diff() < 0).all()
    assert share(torch.zeros(1), torch.zeros(1), 0, "cosine").tolist() == [1.0]  # no update, no decay


def test_each_member_has_its_own_and_a_step_sets_them():
    runs = [small(optim__lr=lr, optim__warmup=warmup, optim__weight_decay=0.5) for lr, warmup in ((0.1, 0), (0.2, 4))]
    stack = Stack(runs)
    rates = stack.optimizer.rates
    assert rates.scheduled and not Stack(runs[:1]).optimizer.rates.scheduled
    for step, (one, other) in enumerate([(0.1, 0.05), (0.1, 0.1), (0.1, 0.15), (0.1, 0.2), (0.1, 0.2)]):
        stack.step(*stack.stream.batch(step))
        for place in rates.descent:
            np.testing.assert_allclose(rates.descent[place].flatten(), [-one, -other], rtol=1e-12)
            np.testing.assert_allclose(rates.descent_per_batch[place].flatten(), [-one / 6, -other / 6], rtol=1e-12)
        for decay_M11 in rates.decay.values():
            np.testing.assert_allclose(decay_M11.flatten(), [-one / 2, -other / 2], rtol=1e-12)
        np.testing.assert_allclose(rates.of_weights([step]), np.full((1, 4, 2), [one, other]), rtol=1e-12)


def test_only_the_weights_of_matrices_decay():
    stack = Stack([small(model__norm="batch", optim__weight_decay=0.1)])
    assert set(stack.optimizer.rates.decay) == {((layer, ""), "weight") for layer in range(1, 5)}
    assert not Stack([small(model__norm="batch")]).optimizer.rates.decay
