"""Highway networks: a gate T decides, unit by unit, between what a layer makes and what it was given.

    x(l) = T phi(x(l-1) W + b) + (1 - T) x(l-1),   T = sigmoid(x(l-1) W_gate + b_gate)

Srivastava et al. (2015). The gates' biases start at `model.gate_bias`: negative ones carry the state through. The stem
is phi(x W + b), the readout linear.

Legend: M members, B batch, N units.
"""

import torch
from torch import Tensor

from vgexp.config import ConfigError, Run
from vgexp.networks.blueprints import Blueprint, law
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, Pass


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """A stem, a matrix and a gate a block, a readout."""
    width, depth = run.model.width, run.model.depth
    parts = [Blueprint(1, "", inputs, width, law(run, 1))]
    for layer in range(2, depth + 1):
        parts.append(Blueprint(layer, "", width, width, law(run, layer)))
        parts.append(Blueprint(layer, "gate", width, width, law(run, layer), bias=run.model.gate_bias))
    return [*parts, Blueprint(depth + 1, "", width, classes, law(run, depth + 1))]


def stem(p: Pass, layer: int, state: State) -> State:
    """x(1) = phi(x W + b)."""
    return (p.phi(layer, p.linear(layer, state[0])),)


def block(p: Pass, layer: int, state: State) -> State:
    """x + T (phi(x W + b) - x)."""
    (x_MBN,) = state
    h_MBN = p.phi(layer, p.linear(layer, x_MBN))
    return (torch.lerp(x_MBN, h_MBN, torch.sigmoid(p.linear(layer, x_MBN, "gate"))),)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """x W + b."""
    return p.linear(layer, state[0])


def require(run: Run) -> None:
    """States of one width can be mixed."""
    if not isinstance(run.model.width, int):
        raise ConfigError("model.width", run.model.width, "one integer: highway blocks mix states of one width")


FAMILY = Family(
    blueprints=blueprints,
    stem=stem,
    block=block,
    readout=readout,
    reads=frozenset({"model.gate_bias"}),
    signal="dx",
    require=require,
)
