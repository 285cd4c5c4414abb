"""A stack of M linear layers that update themselves during the backward pass.

At the sizes of Glorot & Bengio (5 x 1000 units, batches of 10) a step is bound by memory: weights are read
forward, read backward, a gradient is written, and read again by the optimiser. Here the gradient of a layer
goes into its weights as soon as it is known, while they are in the cache, and with a thin batch it is never
formed at all.

Legend: M members, B batch, I fan-in, O fan-out.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from vgexp.numerics import Numbers, affine, numbers, square, times_transposed

THIN = 8
"""A batch is thin when B <= min(I, O) / THIN: then a rank-B update costs less than an I x O gradient."""


class WeightGradient:
    """dW = h^T dz / B of one layer at one step, formed only if somebody asks for its entries.

    With a thin batch the update is one fused product and the norm comes from two B x B Gram matrices; with a
    fat one dW is formed in a scratch buffer, which the update and the norm share. Which of the two depends on
    the shapes alone, never on who looks: recording leaves the weights bitwise equal.
    """

    def __init__(self, h_MBI: Tensor, dz_MBO: Tensor, scratch: dict[Any, Tensor]) -> None:
        self.h_MBI, self.dz_MBO, self._scratch = h_MBI, dz_MBO, scratch
        self.batch_size = h_MBI.shape[1]
        self.thin = self.batch_size * THIN <= min(h_MBI.shape[2], dz_MBO.shape[2])

    @cached_property
    def _sum_MIO(self) -> Tensor:
        """B dW. Valid until the next layer of the same shape forms its own."""
        shape = (self.h_MBI.shape[0], self.h_MBI.shape[2], self.dz_MBO.shape[2])
        key = (shape, self.dz_MBO.dtype, self.dz_MBO.device)
        if key not in self._scratch:
            self._scratch[key] = torch.empty(shape, dtype=self.dz_MBO.dtype, device=self.dz_MBO.device)
        return torch.bmm(self.h_MBI.transpose(1, 2), self.dz_MBO, out=self._scratch[key])

    def form(self) -> None:
        """Forms dW now where the update is going to: its time belongs to the backward pass, whoever looks first."""
        if not self.thin:
            _ = self._sum_MIO

    @property
    def weight_MIO(self) -> Tensor:
        """dW, the gradient of the batch's mean loss. Valid until the next layer of the same shape forms its
        own."""
        return self._sum_MIO / self.batch_size

    @property
    def bias_sum_M1O(self) -> Tensor:
        """B db, the gradient of the batch's summed loss."""
        return self.dz_MBO.sum(1, keepdim=True)

    def add_to_(self, target_MIO: Tensor, scale_M11: Tensor) -> None:
        """target += scale h^T dz, in place: the sum over the batch, the caller's scale holds its 1/B."""
        if self.thin:
            target_MIO.baddbmm_(self.h_MBI.transpose(1, 2), self.dz_MBO * scale_M11)
        else:
            target_MIO.addcmul_(self._sum_MIO, scale_M11)

    def square(self) -> Numbers:
        """||B dW||^2, (M,), without under- or overflow.

        Thin, in float64: ||h^T dz||^2 = sum over examples b, b' of (h_b . h_b') (dz_b . dz_b').
        """
        if not self.thin:
            return square(self._sum_MIO)
        h_MBI, dz_MBO = self.h_MBI.double(), self.dz_MBO.double()
        gram_MBB = torch.bmm(h_MBI, h_MBI.transpose(1, 2)) * torch.bmm(dz_MBO, dz_MBO.transpose(1, 2))
        return numbers(gram_MBB.sum((1, 2)).clamp(min=0))


class Observer(Protocol):
    """Who looks at one pass. Weights and scratch buffers must be reduced at once: they are overwritten."""

    keeps: bool
    """Whether a reversible network is to keep its states, so that the rebuilt ones can be compared."""

    def forward(self, layer: "Linear", z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        """The layer's preactivation, and its activation (None at the readout)."""
        ...

    def backward(self, layer: "Linear", gradient: WeightGradient) -> None:
        """The layer's gradients, its weights not yet updated."""
        ...

    def rebuilt(self, layer: "Linear", rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        """The state that a reversible layer's backward pass rebuilt, and what it had been."""
        ...

    def updated(self, layer: "Linear") -> None:
        """The layer's backward pass is over, its update included."""
        ...


Update = Callable[["Linear", WeightGradient], None]


class _Linear(torch.autograd.Function):
    """z = h W + b, whose backward hands dW to the observer and to the update instead of returning it.

    Side effects in a backward would be a trap if it could run twice. It cannot: W is saved and changed in
    place, so that a second backward, gradcheck, and weights used twice raise torch's "modified by an inplace
    operation"; a backward that is itself to be differentiated (create_graph) raises as well.
    """

    @staticmethod
    def forward(
        ctx: Any,
        h_MBI: Tensor,
        weight_MIO: Tensor,
        layer: "Linear",
        observer: Observer | None,
        update: Update | None,
    ) -> Tensor:
        ctx.save_for_backward(h_MBI, weight_MIO)
        ctx.layer, ctx.observer, ctx.update = layer, observer, update
        return affine(h_MBI, weight_MIO, layer.bias_M1O)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        (dz_MBO,) = grad_outputs
        h_MBI, weight_MIO = ctx.saved_tensors
        # The old weights carry dz down; only then may they change.
        dh_MBI = times_transposed(dz_MBO, weight_MIO) if ctx.needs_input_grad[0] else None
        gradient = WeightGradient(h_MBI, dz_MBO, ctx.layer.scratch)
        if ctx.observer is not None:
            ctx.observer.backward(ctx.layer, gradient)
        if ctx.update is not None:
            ctx.update(ctx.layer, gradient)
        if ctx.observer is not None:
            ctx.observer.updated(ctx.layer)
        return dh_MBI, None, None, None, None


@dataclass
class Linear:
    """M linear layers z = h W + b, number `index` of the network (1..depth hidden, depth + 1 the readout).

    Weights are stored (M, in, out): 15 % faster than (M, out, in) on a CPU.
    """

    index: int
    weight_MIO: Tensor
    bias_M1O: Tensor
    scratch: dict[Any, Tensor] = field(default_factory=dict, repr=False)
    """Buffers shared by all layers of a network."""

    def __post_init__(self) -> None:
        # Nothing is ever accumulated into .grad: this only makes autograd reach the first layer.
        self.weight_MIO.requires_grad_(True)

    def __call__(self, h_MBI: Tensor, observer: Observer | None = None, update: Update | None = None) -> Tensor:
        out: Any = _Linear.apply(h_MBI, self.weight_MIO, self, observer, update)
        return out
