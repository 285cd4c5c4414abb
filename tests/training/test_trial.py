import pytest
from samples import small

from vgexp.training.stack import Stack
from vgexp.training.trial import TRIES, Trial, step_trial


@pytest.fixture
def took(clock, monkeypatch):
    """Makes the steps of stacks take some seconds each; returns what they took."""
    found, step = [], Stack.step

    def slowed(stack, *batch):
        clock(seconds[len(found)])
        found.append(seconds[len(found)])
        return step(stack, *batch)

    monkeypatch.setattr(Stack, "step", slowed)
    seconds = []
    return seconds, found


def test_the_median_and_the_middle_half_without_the_first_step(took):
    seconds, found = took
    seconds[:] = [0.3, *([0.001, 0.002, 0.002, 0.003] * TRIES)]
    assert list(step_trial([small(), small(seed=1)])) == pytest.approx([0.002, 0.00175, 0.00225])
    assert len(found) == 1 + TRIES


def test_slow_steps_are_tried_once(took):
    seconds, found = took
    seconds[:] = [60.0, 50.0, 1.0]
    assert step_trial([small()]) == Trial(50, 50, 50)
    assert found == [60, 50]


def test_seconds_of_many_steps():
    assert Trial(2.0, 1.0, 3.0).times(10) == Trial(20, 10, 30)
