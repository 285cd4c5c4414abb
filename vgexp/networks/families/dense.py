"""Densely connected networks: every block reads all that was made before it, and adds a few units of its own.

    x(l) = [x(l-1), phi(N(x(l-1))) W + b]

Huang et al. (2017), with matrices in place of convolutions. A linear stem makes the first `model.width` units, every
block `model.growth` more, and the readout reads phi(N(x)) of all of them.

Legend: M members, B batch, N units.
"""

import torch
from torch import Tensor

from vgexp.config import ConfigError, Run
from vgexp.networks.blueprints import Blueprint, law, norms
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, Pass


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """A stem, a matrix a block that reads a longer state each time, a readout."""
    depth, growth = run.model.depth, run.model.growth
    parts, units = [Blueprint(1, "", inputs, run.model.width, law(run, 1))], run.model.width
    for layer in range(2, depth + 1):
        parts += [Blueprint(layer, "", units, growth, law(run, layer)), *norms(run, layer, units, "norm")]
        units += growth
    return [
        *parts,
        Blueprint(depth + 1, "", units, classes, law(run, depth + 1)),
        *norms(run, depth + 1, units, "norm"),
    ]


def stem(p: Pass, layer: int, state: State) -> State:
    """x(1) = x W + b."""
    return (p.linear(layer, state[0]),)


def block(p: Pass, layer: int, state: State) -> State:
    """The state, and the new units behind it."""
    (x_MBN,) = state
    return (torch.cat([x_MBN, p.linear(layer, p.phi(layer - 1, p.norm(layer, x_MBN)))], -1),)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """phi(N(x)) W + b."""
    return p.linear(layer, p.phi(layer - 1, p.norm(layer, state[0])))


def require(run: Run) -> None:
    """The state grows by itself."""
    if not isinstance(run.model.width, int):
        raise ConfigError("model.width", run.model.width, "one integer: the width of the stem, to which blocks add")


FAMILY = Family(
    blueprints=blueprints,
    stem=stem,
    block=block,
    readout=readout,
    reads=frozenset({"model.norm", "model.growth"}),
    signal="dx",
    require=require,
)
