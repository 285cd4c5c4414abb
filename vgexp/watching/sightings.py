"""What is seen of a model between two steps: its layers, their calls, amounts still on their device.

Legend: B examples, N units.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from vgexp.numerics import moments, total_norm
from vgexp.watching.graph import Kind
from vgexp.watching.sheets import Part

Array = np.ndarray | Tensor
"""On a host numpy's, on a device a tensor there."""
Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
SMALL = 2**14
"""Entries of an activation up to which it is kept until the step: reducing one right after the other is quicker."""


@dataclass(eq=False)
class Layer:
    """A module that owns a parameter of two or more dimensions, under the first of its names."""

    name: str
    module: nn.Module
    weights: list[nn.Parameter]
    tied: str = ""
    """The layer that came first and has the same weights."""

    @property
    def frozen(self) -> bool:
        return not any([weight.requires_grad for weight in self.weights])

    @property
    def kind(self) -> str:
        return type(self.module).__name__

    def unit_axis(self, axes: int) -> int:
        """Convolutions have their units (channels) along axis 1, everything else along the last."""
        return 1 if isinstance(self.module, Convolution) and axes > 2 else axes - 1


def weights(module: nn.Module) -> list[nn.Parameter]:
    """A module's own parameters of two or more dimensions, those behind a parametrization too."""
    own = list(module.parameters(recurse=False))
    if is_parametrized(module):
        assert isinstance(module.parametrizations, nn.ModuleDict)
        own += list(module.parametrizations.parameters())
    return [p for p in own if isinstance(p, nn.UninitializedParameter) or p.ndim > 1]


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers of a model in the order in which it registers them."""
    found: list[Layer] = []
    owner: dict[nn.Parameter, str] = {}
    for name, module in model.named_modules():
        if ".parametrizations." in f".{name}." or not (own := weights(module)):
            continue
        name = plain_name(name) or type(module).__name__
        tied = {owner.setdefault(weight, name) for weight in own}
        found.append(Layer(name, module, own, "" if name in tied else tied.pop()))
    return found


def plain_name(name: str) -> str:
    """A module's name without what DistributedDataParallel puts before it."""
    return name.removeprefix("module.") if name != "module" else ""


class Amount:
    """A root mean square in the making: norms, perhaps still on their device, and how many entries they span.

    A tensor is reduced at once: an activation in place may overwrite it.
    """

    __slots__ = ("entries", "norms")

    def __init__(self) -> None:
        self.norms: list[float | Tensor] = []
        self.entries = 0

    def add(self, x: Tensor) -> None:
        self.entries += x.numel()
        self.norms.append(total_norm(x))


class Activity:
    """What one activation did to a layer's output. Units are the layer's."""

    __slots__ = ("always_N", "axis", "held", "kind", "numbers", "silent_N")

    def __init__(self, kind: Kind, axis: int, held: Tensor) -> None:
        self.kind, self.axis = kind, axis
        self.held: Tensor | None = held
        """What the graph holds of it, until it is reduced."""
        self.numbers: dict[str, float | Tensor] = {}
        """`h_mean`, `h_std`, and `saturation` or `dead`."""
        self.silent_N: Array | None = None
        """Units with phi' = 0 on the whole batch."""
        self.always_N: Array | None = None
        """Units with phi' = 0 nowhere."""


class Call:
    """The n-th call of a layer within a forward pass, over all passes since the last step."""

    __slots__ = ("_returned", "activities", "dz", "hooked", "layer", "number", "reached", "smallest", "z")

    def __init__(self, layer: Layer, number: int, returned: "list[Call]") -> None:
        """To `returned` it adds itself when its gradient comes back."""
        self.layer, self.number, self._returned = layer, number, returned
        self.z, self.dz = Amount(), Amount()
        self.activities: list[Activity] = []
        self.smallest = 0.0
        """Below this dz may have underflowed."""
        self.hooked = self.reached = False
        """Whether it waits for a gradient, and whether one came back."""

    def backward(self, dz: Tensor) -> None:
        """The hook for its gradient."""
        self.reached = True
        self._returned.append(self)
        self.dz.add(dz)

    @property
    def activation(self) -> str:
        """The names of what took its output."""
        if len(self.activities) < 2:
            return self.activities[0].kind.name if self.activities else ""
        return " ".join(dict.fromkeys(activity.kind.name for activity in self.activities))

    def parts(self, row: int) -> list[Part]:
        """What was seen of it, for a row of a sheet."""
        parts: list[Part] = [(row, "dz_rms", self.dz.norms, self.dz.entries)]
        if self.z.norms:
            parts.append((row, "z_rms", self.z.norms, self.z.entries))
        if len(self.activities) == 1:
            parts += [(row, column, (value,), 0) for column, value in self.activities[0].numbers.items()]
        elif self.activities:
            for column in dict.fromkeys(column for activity in self.activities for column in activity.numbers):
                found = [activity.numbers[column] for activity in self.activities if column in activity.numbers]
                parts.append((row, column, found, 0))
        return parts


def reduce(activity: Activity) -> None:
    """Measures an activation that is still held."""
    kind, x, activity.held = activity.kind, activity.held, None
    if x is None:
        return
    if x.dtype.itemsize < 4:
        x = x.float()
    try:
        seen: Any = x.numpy() if x.is_cpu else x
    except (RuntimeError, TypeError):  # a subclass that wraps other tensors: its entries are not to be had
        return
    h = kind.h(x)
    (total,), (deviation,) = moments(h.reshape(1, 1, -1))
    entries = h.numel() or math.nan  # an empty batch has no mean
    off: Any = np.asarray(kind.off(seen)) if x.is_cpu else kind.off(seen)
    if kind.smooth:
        column, fraction = "saturation", share(off)
    else:
        batch = tuple(axis for axis in range(off.ndim) if axis != activity.axis)
        silent_N, always_N = (off.all(batch), ~off.any(batch)) if batch else (off, ~off)
        activity.silent_N, activity.always_N = silent_N, always_N
        column, fraction = "dead", share(silent_N)
    activity.numbers = {"h_mean": total / entries, "h_std": (deviation / entries) ** 0.5, column: fraction}


def share(true: Array) -> float | Tensor:
    """How much of a boolean array is true; on a device as a tensor."""
    if isinstance(true, Tensor):
        return true.double().mean()
    return np.count_nonzero(true) / (true.size or math.nan)


def tensors(output: Any) -> Iterator[Tensor]:
    """The floating-point tensors in what a module puts out, in order: through tuples, lists, dicts and dataclasses."""
    if isinstance(output, Tensor):
        if output.is_floating_point() or output.is_complex():
            yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from tensors(part)
    elif isinstance(output, list | tuple):
        for part in output:
            yield from tensors(part)
    elif is_dataclass(output):
        for item in fields(output):
            yield from tensors(getattr(output, item.name))
