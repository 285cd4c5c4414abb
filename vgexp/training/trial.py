"""Trials: how long a step of a stack takes on this computer, from a few steps that leave nothing behind."""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vgexp.config import Run
from vgexp.training.stack import Stack
from vgexp.training.threads import threads_of

TRIES = 20
"""The most steps that are tried, after one that warms up."""
TRIAL_SECONDS = 0.5
"""No step is tried after this."""


class Trial(NamedTuple):
    """Seconds: the median over the steps that were tried, and the ends of their middle half."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> "Trial":
        return Trial(*(factor * seconds for seconds in self))


def step_trial(runs: Sequence[Run]) -> Trial:
    """Seconds that a step of a stack takes which updates and is not recorded."""
    with threads_of(runs):
        stack, seconds = Stack(runs), []
        began = time.monotonic()
        for step in range(1 + TRIES):
            before = time.monotonic()
            x_MBI, y_MB = stack.stream.batch(step)
            stack.step(x_MBI, stack.target(y_MB, step)).tolist()  # waits for the device
            seconds.append(time.monotonic() - before)
            if step and time.monotonic() - began > TRIAL_SECONDS:
                break
    return Trial(*np.quantile(seconds[1:], (0.5, 0.25, 0.75)).tolist())
