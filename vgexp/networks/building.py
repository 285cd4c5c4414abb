"""Networks from runs: drawn, or shapes alone; and the memory that they will take.

Legend: M members, B batch, I inputs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vgexp.config import ConfigError, Run
from vgexp.networks.blueprints import Blueprint, assemble, is_spared
from vgexp.networks.families import FAMILIES
from vgexp.networks.initializers import INITIALIZERS, resolved
from vgexp.networks.lsuv import unit_variance_weights
from vgexp.networks.network import Network


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """The parts of a run's network, layer by layer.

    >>> [(part.layer, part.fan_in, part.fan_out) for part in blueprints(Run(), 1024, 9)][-1]
    (6, 1000, 9)
    """
    family, arrange = FAMILIES[run.model.family], INITIALIZERS[run.init.name].arrange
    parts = list(family.blueprints(run, inputs, classes))
    if arrange is None:
        return parts
    arranged = arrange(
        run, lambda width: family.blueprints(replace(run, model=replace(run.model, width=width)), inputs, classes)
    )
    return [part if is_spared(run, part.layer) else arranged(part) for part in parts]


def require_buildable(run: Run) -> None:
    """Raises ConfigError for a run that its family cannot build or that its law is not for."""
    family = FAMILIES[run.model.family]
    family.require(run)
    INITIALIZERS[run.init.name].require(run)
    resolved(run)
    if run.memory == "invert" and family.invert is None:
        can = ", ".join(name for name, other in FAMILIES.items() if other.invert is not None)
        raise ConfigError("memory", run.memory, f"store or checkpoint; only model.family={can} can invert")


def build(
    members: Sequence[Run],
    inputs: int,
    classes: int,
    device: torch.device,
    first_batch: Callable[[Run], Tensor] | None = None,
) -> Network:
    """A stack of the runs' family; member m's weights come from its seed alone, drawn on the CPU in float64.

    Where its law asks for examples, they come from its first batch too, (1, B, I) in float64 on the CPU.
    """
    run, seeds = members[0], [member.seed for member in members]
    drawn = [blueprints(member, inputs, classes) for member in members]
    network = Network(FAMILIES[run.model.family], run, assemble(drawn, seeds, getattr(torch, run.dtype), device))
    for m, member in enumerate(members):
        if INITIALIZERS[member.init.name].unit_variance:
            if first_batch is None:
                raise ValueError(f"init.name={member.init.name} needs the first batch")
            with torch.no_grad():
                for key, weight_IO in unit_variance_weights(member, drawn[m], first_batch(member)).items():
                    network.parts[key].tensors["weight"][m] = weight_IO
    return network


def skeleton(run: Run, inputs: int, classes: int, device: str = "meta") -> Network:
    """A network of shapes alone: nothing is drawn, and on the meta device nothing takes memory."""
    parts = assemble([blueprints(run, inputs, classes)], None, getattr(torch, run.dtype), device)
    return Network(FAMILIES[run.model.family], run, parts)


def weight_bytes(run: Run, inputs: int, classes: int, slots: int) -> int:
    """Weights of one member, so many tensors of their size beside them, and one gradient of each shape of a matrix."""
    parts = blueprints(run, inputs, classes)
    scratch = sum(math.prod(shape) for shape in {(part.fan_in, part.fan_out) for part in parts if part.is_matrix})
    return getattr(torch, run.dtype).itemsize * (sum(part.entries for part in parts) * (1 + slots) + scratch)
