"""Layer-sequential unit variance: matrices that are rescaled, going up the network, by what they put out.

Mishkin & Matas (2016), "All you need is a good init". It is a law of weights that needs examples: those of the first
batch of the run.

Legend: M members, B batch, I fan-in, O fan-out.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.networks.blueprints import Blueprint, assemble, is_spared
from vgexp.networks.families import FAMILIES
from vgexp.networks.network import Network
from vgexp.networks.parts import Key, Matrix

TOLERANCE = 0.1
"""How far from 1 a variance may be left."""
MOST_RESCALINGS = 10


def unit_scale(variance: Callable[[float], float]) -> float:
    """What weights are to be multiplied by, so that what they put out has a variance of 1, within `TOLERANCE`.

    `variance` is that of the outputs by the factor. It is divided out again and again, since biases stay as they are:
    without them once is enough. Outputs that are constant, or no numbers, are left alone.

    >>> unit_scale(lambda factor: 4 * factor**2), unit_scale(lambda factor: 0.0)
    (0.5, 1.0)
    """
    factor = 1.0
    for _ in range(MOST_RESCALINGS):
        now = variance(factor)
        if not 0 < now < math.inf or abs(now - 1) < TOLERANCE:
            break
        factor /= math.sqrt(now)
    return factor


def unit_variance_weights(run: Run, plans: Sequence[Blueprint], x_1BI: Tensor) -> dict[Key, Tensor]:
    """The first weights of the matrices that the run's law is for, each (I, O) in float64, by key.

    They are drawn as ever. Then the examples x_1BI go through the network, and every matrix on their way is divided by
    the standard deviation of what it puts out, over examples and units, before they go on.
    """
    parts = assemble([plans], [run.seed], torch.float64, "cpu")
    for place, part in enumerate(parts):
        if isinstance(part, Matrix) and not is_spared(run, part.layer):
            parts[place] = _Rescaled(part.layer, part.name, part.weight_MIO, part.bias_M1O, part.rates_M11)
    network = Network(FAMILIES[run.model.family], run, parts)
    with torch.no_grad():
        network(x_1BI)
    return {part.key: part.weight_MIO[0].detach() for part in parts if isinstance(part, _Rescaled)}


class _Rescaled(Matrix):
    """A matrix that rescales its weights by the batch that it is given."""

    def __call__(self, h_MBI: Tensor, observer: Any = None, update: Any = None) -> Tensor:
        z_MBO = h_MBI @ self.weight_MIO
        factor = unit_scale(lambda factor: float((factor * z_MBO + self.bias_M1O).var(correction=0)))
        self.weight_MIO *= factor
        return factor * z_MBO + self.bias_M1O
