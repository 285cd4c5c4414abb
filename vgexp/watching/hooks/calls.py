"""Calls: what is seen of a layer when it runs, as one number a column.

Every tensor is reduced to a number where it is seen: an operation in place may overwrite it. On a device the number
stays there until the step is recorded.

Legend: N units.
"""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vgexp.networks.activations import Activation
from vgexp.numerics import fraction, moments, total_norm
from vgexp.watching.hooks.descent import Way
from vgexp.watching.hooks.graph import ActivationNode
from vgexp.watching.hooks.layers import Layer

NARROW = (torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)
"""Types whose range is narrow, as the gradients of networks go."""
UNDERFLOW_BELOW = {
    torch.float64: 1e8 * torch.finfo(torch.float64).tiny,
    torch.float32: 1e8 * torch.finfo(torch.float32).tiny,
    torch.bfloat16: 1e8 * torch.finfo(torch.bfloat16).tiny,
    torch.float16: torch.finfo(torch.float16).tiny,
    torch.complex64: 1e8 * torch.finfo(torch.complex64).tiny,
    torch.complex128: 1e8 * torch.finfo(torch.complex128).tiny,
}
"""By the type of dz: where rms(dz) of one layer is below this, that of the next may have underflowed to 0."""


class Gradient(NamedTuple):
    """dz of one call in one backward pass."""

    norm: float | Tensor
    """Euclidean, over all entries."""
    summed: float | Tensor
    """The same of its sum over positions, where there are any."""
    entries: int


class Call:
    """The n-th call of a layer within a forward pass, over all passes since the last step."""

    __slots__ = (
        "_gradients",
        "_stand_ins",
        "activations",
        "counts",
        "dtype",
        "hooked",
        "index",
        "inputs",
        "layer",
        "number",
        "off",
        "totals",
        "twin",
        "underflow_below",
        "way",
        "zeros",
    )

    def __init__(self, layer: Layer, number: int, index: int = 0) -> None:
        """`index` is the call's number among those of all layers."""
        self.layer, self.number, self.index = layer, number, index
        self.totals: dict[str, float | Tensor] = {}
        """By column: a Euclidean norm for a root mean square, a sum for a mean."""
        self.counts: dict[str, int] = {}
        """By column: how many entries the norm is over, or how many numbers the sum is of."""
        self._gradients: dict[int, Gradient] = {}
        """By backward pass."""
        self._stand_ins: dict[int, Gradient] = {}
        """The same of outputs after the first."""
        self.way: Way | None = None
        """How its gradient comes from the loss, None where that is not known."""
        self.twin: Call | None = None
        """The call of a module inside this one that put out the same tensor."""
        self.activations: list[ActivationNode] = []
        """What took its output."""
        self.off: list[tuple[Any, Any]] = []
        """For each piecewise linear activation: the units that were off on every example, and those that were off on
        none, (N,) each; positions in an image or a sequence count as examples. On a host numpy's arrays."""
        self.underflow_below = 0.0
        self.inputs = "numbers"
        """What its module was called with: `numbers`, `indices` or `none`."""
        self.dtype: torch.dtype | None = None
        """The type of its output, and so of its dz."""
        self.zeros: int | Tensor = 0
        """Entries of dz that are exactly 0, in a type with a narrow range."""
        self.hooked = False
        """Whether it waits for a gradient."""

    def norm(self, column: str, x: Tensor) -> None:
        """Adds the entries of a tensor to a root mean square."""
        norm, entries = total_norm(x), self.counts.get(column, 0)
        self.totals[column] = hypot(self.totals[column], norm) if entries else norm
        self.counts[column] = entries + x.numel()

    def mean(self, column: str, number: float | Tensor) -> None:
        """Adds a number to a mean."""
        self.totals[column] = self.totals.get(column, 0.0) + number
        self.counts[column] = self.counts.get(column, 0) + 1

    def gradient(self, task: int, dz: Tensor, stand_in: bool = False) -> None:
        """Adds what a backward pass brings; as a stand-in, what it brings to another output than the first."""
        norm = total_norm(dz)
        positions = dz.ndim > 2 and not stand_in
        summed = over_positions(dz, self.layer.unit_axis(dz.ndim), norm) if positions else norm
        gradients = self._stand_ins if stand_in else self._gradients
        if dz.dtype in NARROW:
            self.zeros = self.zeros + (dz == 0).sum()
        before = gradients.get(task)
        if before is not None:
            norm, summed = hypot(before.norm, norm), hypot(before.summed, summed)
        gradients[task] = Gradient(norm, summed, dz.numel() + (before.entries if before else 0))

    def settle(self, tasks: Collection[int]) -> None:
        """Takes the gradients of these backward passes, and none of any other, for its own."""
        brought = [gradient for task, gradient in self._gradients.items() if task in tasks]
        if not brought and self._stand_ins:
            brought = [gradient for task, gradient in self._stand_ins.items() if task in tasks]
        if brought:
            norm, summed, entries = brought[0]
            for gradient in brought[1:]:
                norm, summed = hypot(norm, gradient.norm), hypot(summed, gradient.summed)
                entries += gradient.entries
            self.totals["dz_rms"], self.totals["dz_norm"] = norm, norm if norm is summed else larger(norm, summed)
            self.counts["dz_rms"], self.counts["dz_norm"] = entries, 1

    @property
    def reached(self) -> bool:
        """Whether a gradient that counts came back."""
        return "dz_rms" in self.totals

    @property
    def empty(self) -> bool:
        """Whether it put out no entry, as where an expert gets no token."""
        return 0 in (self.counts.get("z_rms"), self.counts.get("dz_rms"))

    @property
    def activation(self) -> str:
        """Each name of what took its output once."""
        return " ".join(dict.fromkeys(each.name for each in self.activations))

    @property
    def law(self) -> Activation | None:
        """What theory knows as the activation that took its output; None where several did that are not the same."""
        laws = [each.law for each in self.activations]
        return laws[0] if laws and all(law is laws[0] for law in laws) else None

    def activated(self, activation: ActivationNode, saved: Tensor) -> None:
        """Measures an activation that took its output, from what the graph saved of it."""
        self.activations.append(activation)
        if saved.is_complex() or not saved.numel():
            return
        saved = saved.float() if saved.dtype.itemsize < 4 else saved.resolve_neg()  # numpy reads no lazy minus
        h = activation.h(saved)
        try:
            seen = saved.numpy() if saved.is_cpu else saved
            (total,), (deviation,) = moments(h.reshape(1, 1, -1))
        except RuntimeError:  # a subclass that wraps other tensors has no entries of its own
            return
        self.mean("h_mean", total / h.numel())
        self.mean("h_std", (deviation / h.numel()) ** 0.5)
        off = activation.off(seen)
        if activation.smooth:
            self.mean("saturation", fraction(off.reshape(1, 1, -1))[0])
            return
        off = off.reshape(1, -1) if off.ndim == 1 else off
        examples = tuple(axis for axis in range(off.ndim) if axis != self.layer.unit_axis(off.ndim))
        always_N, never_N = off.all(examples), ~off.any(examples)
        self.off.append((always_N, never_N))
        self.mean("dead", fraction(always_N.reshape(1, 1, -1))[0])


def over_positions(dz: Tensor, unit_axis: int, norm: float | Tensor) -> float | Tensor:
    """The norm of dz after it was summed over every axis but the first, examples, and that of units: where weights are
    shared over positions, it is this sum that reaches them. The norm itself, where it cannot be summed."""
    axes = [axis for axis in range(1, dz.ndim) if axis != unit_axis]
    wide = torch.float32 if dz.dtype.itemsize < 4 else None
    try:
        return total_norm(dz.sum(axes, dtype=wide))
    except RuntimeError:  # sparse ones, and subclasses without entries of their own
        return norm


def larger(a: float | Tensor, b: float | Tensor) -> float | Tensor:
    """The larger of two norms; what is not a number stays so."""
    if isinstance(a, float) and isinstance(b, float):
        return math.nan if math.isnan(a) else max(a, b)
    return torch.maximum(torch.as_tensor(a), torch.as_tensor(b))


def hypot(a: float | Tensor, b: float | Tensor) -> float | Tensor:
    """The norm of two parts from the norms of each."""
    if isinstance(a, float) and isinstance(b, float):
        return math.hypot(a, b)
    a, b = torch.as_tensor(a, dtype=torch.float64), torch.as_tensor(b, dtype=torch.float64)
    return torch.hypot(a, b.to(a.device))
