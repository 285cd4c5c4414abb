"""Every family, and one that only tests know, with vectors: the ways in which a network of it can be asked for."""

from dataclasses import replace

import torch
from samples import small

from vgexp.networks.blueprints import Blueprint
from vgexp.networks.families import FAMILIES, residual
from vgexp.networks.normalizations import NORMS


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
    "residual, fixup": small(
        model__family="residual", model__branch_layers=2, model__scalars="fixup", init__name="fixup"
    ),
    "highway": small(model__family="highway"),
    "dense": small(model__family="dense", model__growth=5),
    "reversible": small(model__family="reversible"),
    "gated": small(model__family="gated"),
}
"""One of each family."""
NORMED = {
    f"{norm}, {name}": replace(run, model=replace(run.model, norm=norm))
    for norm in NORMS
    for name, run in {
        "plain, before": small(),
        "plain, after": small(model__norm_at="after"),
        "pre": small(model__family="residual"),
        "pre, two": small(model__family="residual", model__branch_layers=2, model__branch="1/sqrt(L)"),
        "pre, learned": small(model__family="residual", model__branch="learned"),
        "post": small(model__family="residual", model__placement="post"),
        "post, two": small(model__family="residual", model__placement="post", model__branch_layers=2),
        "dense": small(model__family="dense", model__growth=5),
        "reversible, learned": small(model__family="reversible", model__branch="learned"),
    }.items()
    if norm != "none" or name in ("pre, learned", "post", "post, two", "reversible, learned")
    if norm == "none" or "reversible" not in name
}
"""Every family with every norm that it takes, wherever it takes it, and what branches may be multiplied with."""
ALL = WAYS | NORMED
MEMORY = ["store", "checkpoint 2", "checkpoint revolve(2)", "invert"]


def remembered(run, memory):
    """The run in a memory mode; None where its family has none such."""
    mode, _, every = memory.partition(" ")
    if mode == "invert" and FAMILIES[run.model.family].invert is None:
        return None
    every = int(every) if every.isdigit() else every or "sqrt"
    return replace(run, memory=mode, checkpoint=replace(run.checkpoint, every=every))


def tensors(training):
    """Everything that a training changes, by part and name."""
    parts = training.stack.network.parts
    return {(key, name): tensor.detach() for key, part in parts.items() for name, tensor in part.state.items()}


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for place, tensor in ours.items():
        assert torch.equal(tensor, theirs[place]), place
