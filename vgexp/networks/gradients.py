"""Gradients of a part at one step: what the optimiser adds to the part, and what observers measure of it.

Legend: M members, B batch, I fan-in, O fan-out, N entries of a vector.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from vgexp.numerics import Numbers, numbers, square

THIN = 8
"""A batch is thin when B <= min(I, O) / THIN: then a rank-B update costs less than an I x O gradient."""


class Gradient(Protocol):
    """The gradient of the batch's loss with respect to the tensors of a part, which go by name: `weight`, `bias`."""

    batch_size: int

    @property
    def dz_MBO(self) -> Tensor | None:
        """The gradient with respect to what a matrix puts out, one row an example; None for a vector."""
        ...

    def form(self) -> None:
        """Does now what the update will need: its time belongs to the backward pass, whoever looks first."""
        ...

    def add_to_(self, name: str, target: Tensor, scale_M11: Tensor) -> None:
        """target += scale times the gradient of the summed loss, in place."""
        ...

    def mean(self, name: str) -> Tensor:
        """The gradient of the batch's mean loss."""
        ...

    def square(self) -> Numbers:
        """Sum of squares of the summed loss's gradient with respect to `weight`, (M,), without under- or overflow."""
        ...


class MatrixGradient:
    """dW = h^T dz / B and db = sum of dz / B of one matrix, formed only if somebody asks for their entries.

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
        """B dW. Valid until the next matrix of the same shape forms its own."""
        shape = (self.h_MBI.shape[0], self.h_MBI.shape[2], self.dz_MBO.shape[2])
        key = (shape, self.dz_MBO.dtype, self.dz_MBO.device)
        if key not in self._scratch:
            self._scratch[key] = torch.empty(shape, dtype=self.dz_MBO.dtype, device=self.dz_MBO.device)
        return torch.bmm(self.h_MBI.transpose(1, 2), self.dz_MBO, out=self._scratch[key])

    def form(self) -> None:
        if not self.thin:
            _ = self._sum_MIO

    def add_to_(self, name: str, target: Tensor, scale_M11: Tensor) -> None:
        if name == "bias":
            target.addcmul_(self.dz_MBO.sum(1, keepdim=True), scale_M11)
        elif self.thin:
            target.baddbmm_(self.h_MBI.transpose(1, 2), self.dz_MBO * scale_M11)
        else:
            target.addcmul_(self._sum_MIO, scale_M11)

    def mean(self, name: str) -> Tensor:
        """Of `weight` valid until the next matrix of the same shape forms its own."""
        summed = self.dz_MBO.sum(1, keepdim=True) if name == "bias" else self._sum_MIO
        return summed / self.batch_size

    def square(self) -> Numbers:
        """Thin, in float64: ||h^T dz||^2 = sum over examples b, b' of (h_b . h_b') (dz_b . dz_b')."""
        if not self.thin:
            return square(self._sum_MIO)
        h_MBI, dz_MBO = self.h_MBI.double(), self.dz_MBO.double()
        gram_MBB = torch.bmm(h_MBI, h_MBI.transpose(1, 2)) * torch.bmm(dz_MBO, dz_MBO.transpose(1, 2))
        return numbers(gram_MBB.sum((1, 2)).clamp(min=0))


class FormedGradient:
    """Gradients that are there already: those with respect to vectors, and those that were kept to be clipped."""

    dz_MBO = None

    def __init__(self, sums: Mapping[str, Tensor], batch_size: int) -> None:
        """`sums` are the gradients of the summed loss, by the name of the tensor."""
        self.sums, self.batch_size = sums, batch_size

    def form(self) -> None:
        pass

    def add_to_(self, name: str, target: Tensor, scale_M11: Tensor) -> None:
        target.addcmul_(self.sums[name], scale_M11)

    def mean(self, name: str) -> Tensor:
        return self.sums[name] / self.batch_size

    def square(self) -> Numbers:
        return square(self.sums["weight"])
