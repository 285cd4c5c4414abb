"""Depths: how many layers it takes until a gradient has fallen, or grown, by some decades.

Theory is run for networks of other depths, nothing is extrapolated: the gradient of residual networks follows a power
of the depth, and a branch scaled by 1/sqrt(L) or a tailored activation is another one at each depth.

Legend: K examples, I inputs, L hidden layers.
"""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.networks import FAMILIES, INITIALIZERS, NORMS
from vgexp.theory import sampled
from vgexp.theory.meanfield import ROUGH_DRAWS, has_recursion, mean_squares
from vgexp.theory.sampled import NoTheory

DEEPEST, DEEPEST_SAMPLED = 10_000, 1_000
"""Layers up to which is looked: in closed form, and where theory samples. A sample of some thousand units loses a
thousandth of a normalised gradient in each layer, as a network of that width does, and a thousand times that shows."""
MOST_NUMBERS = 2**25
"""Numbers that are drawn of a network at most: the layers of dense networks grow, and batch normalisation needs all
examples."""
APART = 4
"""What the depths are apart that are looked at until one is deep enough."""
WITHIN = 0.02
"""What the depth is known to where theory samples, relative to it."""
EXAMPLES = 4
"""Examples that are followed, the first of the run's; all of them where they are normalised together, or
weights are rescaled by them."""


class Depth(NamedTuple):
    """Where a gradient has changed by some decades."""

    layers: int | None
    """Hidden layers of the shallowest network in which it has; None: of none up to `searched`."""
    falls: bool
    """Whether the gradient falls or grows from the last hidden layer down to the first."""
    searched: int
    """The deepest network that was looked at."""
    exact: bool
    """Whether the number of layers is exact, as it is in closed form; else it is known to 2 %."""


def depth_of(run: Run, x_KI: Tensor, y_K: Tensor, classes: int, decades: float = 3.0) -> Depth:
    """The smallest depth at which the gradient (dz, or dx where there are skips) at layer 1 is 10^decades times smaller
    or larger than at the last hidden layer; everything but `model.depth` is as in the run.
    Depths are tried from shallow to deep, a factor 4 apart, then between two: what comes and goes there is not seen.

    Raises NoTheory for layers of listed widths, which say nothing of other depths, and where there is no theory.
    """
    if not isinstance(run.model.width, int):
        raise NoTheory("a list of widths says nothing of other depths")
    norm = NORMS[run.model.norm]
    if not ((norm is not None and norm.over_examples) or INITIALIZERS[run.init.name].unit_variance):
        x_KI, y_K = x_KI[:EXAMPLES], y_K[:EXAMPLES]
    name, closed = FAMILIES[run.model.family].signal, has_recursion(run)

    def of_depth(layers: int) -> Run:
        return replace(run, model=replace(run.model, depth=layers))

    def change_L(layers: int) -> np.ndarray:
        """Decades that the gradient loses from each layer down to the first in a network of that depth."""
        found = mean_squares(of_depth(layers), x_KI, y_K, classes, rough=True)
        square_L = torch.stack([found[layer, ""][name].mean() for layer in range(1, layers + 1)]).numpy()
        if square_L[0] == 0 or not np.isfinite(square_L[0]):  # what is left when all numbers there are have been passed
            return np.full(layers, math.inf if square_L[0] == 0 else -math.inf)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 0.5 * (np.log10(square_L) - np.log10(square_L[0]))

    def is_deep_enough(change_L: np.ndarray) -> bool:
        return not abs(change_L[-1]) < decades

    deepest = DEEPEST if closed else DEEPEST_SAMPLED
    while not closed and deepest > APART and _numbers(of_depth(deepest), x_KI, classes) > MOST_NUMBERS:
        deepest //= APART
    depths = [deepest // APART**k for k in range(round(math.log(deepest, APART)), -1, -1)]
    low, high, change = 1, 0, np.zeros(1)
    for depth in filter(lambda depth: depth > 1, depths):
        change = change_L(depth)
        if is_deep_enough(change):
            high = depth
            break
        low = depth
    if not high:
        return Depth(None, bool(change[-1] > 0), deepest, closed)
    within = 0.0 if closed else WITHIN
    at_high, trials = change, 0
    while high - low > max(1.0, within * high):
        # The layer of this deeper network at which it has changed enough, and then the one beside it; these are the
        # ends sought unless layers change with the depth.
        passed = np.flatnonzero(np.isfinite(at_high) & (abs(at_high) >= decades))
        guess = int(passed[0]) + 1 if len(passed) and trials < 3 else (low + high) // 2
        beside = max(1, int(within * high))
        trial = min(max(guess if guess < high else high - beside, low + 1), high - 1)
        change, trials = change_L(trial), trials + 1
        if is_deep_enough(change):
            high, at_high = trial, change
        else:
            low = trial
    return Depth(high, bool(at_high[-1] > 0), deepest, closed)


def _numbers(run: Run, x_KI: Tensor, classes: int) -> int:
    return sampled.numbers(run, x_KI, classes, ROUGH_DRAWS)
