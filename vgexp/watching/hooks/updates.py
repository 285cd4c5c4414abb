"""Updates: what optimizers do to a model's weights after a recorded step.

An optimizer's own hooks, before and after its step, tell when it updates. Weights are copied for the one update that
follows a recorded step, and for no longer.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim import Optimizer

from vgexp.numerics import torch_private, total_norm
from vgexp.watching.hooks.calls import hypot
from vgexp.watching.hooks.layers import Layer, names_of

Record = Callable[[dict[str, float | Tensor]], None]
"""Takes the update ratio ||dW|| / ||W|| of layers, by name; dW here is what the update adds to W."""

FEWEST_STEPS = 3
"""Recorded steps that it takes to say that weights do not change."""


class Holdings(NamedTuple):
    """Parameters with a gradient that optimizers do not update; modules, where that is true of all that they have."""

    missing: list[str]
    """Those in no optimizer."""
    replaced: list[str]
    """Those in no optimizer, where one holds a tensor of that shape that the model does not have."""
    stopped: dict[str, list[str]]
    """Those in a group whose learning rate is 0, by the group."""


class Updates:
    """The optimizers of a model, and what the update after a recorded step does."""

    def __init__(self, optimizers: Any, layers: Sequence[Layer]) -> None:
        """`optimizers` is one of torch's, or a list of them. Raises ValueError for anything else."""
        given = list(optimizers) if isinstance(optimizers, list | tuple) else [optimizers]
        if not given or not all(isinstance(optimizer, Optimizer) for optimizer in given):
            shown = ", ".join(type(optimizer).__name__ for optimizer in given) or "nothing"
            raise ValueError(f"optimizer: got {shown}, accepts a torch.optim.Optimizer or a list of them")
        self._optimizers = [wrapped(optimizer) for optimizer in given]
        self._layers = [layer for layer in layers if not layer.tied]
        self._handles: list[Any] = []
        self._stepping: Optimizer | None = None
        self.expect(None)
        for optimizer in self._optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._begins))
            self._handles.append(optimizer.register_step_post_hook(self._ended))

    def holdings(self, model: nn.Module, trainable: Mapping[str, nn.Parameter], fed: Collection[int]) -> Holdings:
        """What the optimizers do not update of the trainable parameters, by name, to which a backward pass brought a
        gradient: `fed` has their `id`."""
        groups = {
            f"group {i} of {name}": group
            for name, optimizer in zip(_named(self._optimizers), self._optimizers, strict=True)
            for i, group in enumerate(optimizer.param_groups)
        }
        held = {id(parameter): parameter for group in groups.values() for parameter in group["params"]}
        own = {id(parameter) for parameter in model.parameters()}
        strangers = {parameter.shape for key, parameter in held.items() if key not in own}
        missing = {id(parameter) for parameter in trainable.values()}.intersection(fed).difference(held)
        replaced = {id(parameter) for parameter in trainable.values() if parameter.shape in strangers} & missing
        stopped: dict[str, list[str]] = {}
        for where, group in groups.items():
            rate = group.get("lr")
            if isinstance(rate, float | int | Tensor) and float(rate) == 0:
                stopped[where] = names_of(trainable, {id(parameter) for parameter in group["params"]}.intersection(fed))
        return Holdings(
            names_of(trainable, missing - replaced),
            names_of(trainable, replaced),
            {where: names for where, names in stopped.items() if names},
        )

    def layers_of(self, optimizers: Collection[int]) -> set[str]:
        """The layers whose weights are those of optimizers, which are given by their `id`."""
        groups = [group for one in self._optimizers if id(one) in optimizers for group in one.param_groups]
        held = {id(parameter) for group in groups for parameter in group["params"]}
        return {layer.name for layer in self._layers if held.issuperset(map(id, layer.weights))}

    def expect(self, record: Record | None) -> None:
        """The next update of each optimizer is recorded; with None no more is. An optimizer may be within its step: it
        has yet to update what a closure computes there."""
        self._record = record
        self._waiting = set() if record is None else set(self._optimizers)
        self._before: list[tuple[Layer, nn.Parameter, Tensor]] = []
        self._sizes: dict[str, float | Tensor] = {}
        self._moved: dict[str, float | Tensor] = {}
        if self._stepping is not None:
            self._copy(self._stepping)

    def close(self) -> None:
        """Takes the hooks out of the optimizers."""
        self.expect(None)
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _begins(self, optimizer: Optimizer, *_: Any) -> None:
        self._stepping = optimizer
        self._copy(optimizer)

    def _copy(self, optimizer: Optimizer) -> None:
        if optimizer not in self._waiting:
            return
        self._waiting.remove(optimizer)
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        for layer in self._layers:
            own = [weight for weight in layer.weights if id(weight) in held]
            if own and layer.name not in self._sizes:
                self._sizes[layer.name] = reduce(hypot, map(total_norm, layer.weights))
            self._before += [(layer, weight, weight.detach().clone()) for weight in own]

    def _ended(self, optimizer: Optimizer, *_: Any) -> None:
        before, self._before, self._stepping = self._before, [], None
        skipped = getattr(optimizer, "found_inf", None)  # a scaler tells those that look after it themselves
        if self._record is None or (skipped is not None and bool(skipped)):
            return
        for layer, weight, was in before:
            moved = total_norm(was.sub_(weight.detach()))
            self._moved[layer.name] = hypot(self._moved[layer.name], moved) if layer.name in self._moved else moved
        self._record({layer.name: self._ratio(layer.name) for layer, _, _ in before})

    def _ratio(self, name: str) -> float | Tensor:
        moved, size = self._moved[name], self._sizes[name]
        return moved / size if isinstance(size, Tensor) or size else math.nan


class Standstill:
    """Layers whose weights are bit for bit those of the first recorded step."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[Any, ...]] = {}
        self._since, self._steps = 0, 0

    def look(self, step: int, layers: Sequence[Layer], sizes: Mapping[str, float]) -> dict[str, int]:
        """Layers that never changed, and since which step, if others did, once there are enough steps. `sizes` has the
        root mean square of each layer's weights: to assign to `.data` leaves no other trace."""
        now = {
            layer.name: (*((id(w), torch_private.version(w)) for w in layer.weights), sizes[layer.name])
            for layer in layers
            if layer.name in sizes and not layer.tied
        }
        if self._steps == 0:
            self._first, self._since = now, step
        self._steps += 1
        self._first = {name: first for name, first in self._first.items() if now.get(name) == first}
        if self._steps < FEWEST_STEPS or len(self._first) == len(now):
            return {}
        return dict.fromkeys(self._first, self._since)


def _named(optimizers: Sequence[Optimizer]) -> list[str]:
    """Their classes; those of one class are numbered."""
    classes = [type(optimizer).__name__ for optimizer in optimizers]
    return [
        f"{name} {classes[: i + 1].count(name)}" if classes.count(name) > 1 else name for i, name in enumerate(classes)
    ]


def wrapped(optimizer: Optimizer) -> Optimizer:
    """The optimizer inside one that only hands its calls on, as those of accelerate and Lightning do."""
    inner = getattr(optimizer, "optimizer", None)
    return wrapped(inner) if isinstance(inner, Optimizer) else optimizer
