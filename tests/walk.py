"""Every family, and one that only tests know, with vectors: the ways in which a network of it can be asked for."""

from dataclasses import replace

import torch
from samples import small

from vgexp.networks.blueprints import Blueprint
from vgexp.networks.families import FAMILIES, residual


def gated_blueprints(run, inputs, classes):
    """Those of a residual network, and two vectors a block."""
    for part in residual.blueprints(run, inputs, classes):
        yield part
        if 1 < part.layer <= run.model.depth:
            yield Blueprint(part.layer, "alpha", 1, 1, 0.7)
            yield Blueprint(part.layer, "gain", 1, run.model.width, 1.0, rate=0.1)


def gated_block(p, layer, state):
    """x + alpha W (gain * phi(x)): a scalar and a vector that train, the vector ten times slower."""
    h = p.phi(layer - 1, state[0]) * p.vector(layer, "gain")
    return (state[0] + p.vector(layer, "alpha") * p.linear(layer, h),)


GATED = replace(residual.FAMILY, blueprints=gated_blueprints, block=gated_block, recursion=None)
WAYS = {
    "plain": small(),
    "residual": small(model__family="residual", model__branch=0.5),
    "residual, two matrices": small(model__family="residual", model__branch_layers=2),
    "reversible": small(model__family="reversible"),
    "gated": small(model__family="gated"),
}
MEMORY = ["store", "checkpoint 2", "checkpoint revolve(2)", "invert"]


def remembered(run, memory):
    """The run in a memory mode; None where its family has none such."""
    mode, _, every = memory.partition(" ")
    if mode == "invert" and FAMILIES[run.model.family].invert is None:
        return None
    every = int(every) if every.isdigit() else every or "sqrt"
    return replace(run, memory=mode, checkpoint=replace(run.checkpoint, every=every))


def tensors(training):
    """Everything that trains, by part and name."""
    parts = training.stack.network.parts
    return {(key, name): tensor.detach() for key, part in parts.items() for name, tensor in part.tensors.items()}


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for place, tensor in ours.items():
        assert torch.equal(tensor, theirs[place]), place
