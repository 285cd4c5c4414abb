"""Parts of a network (matrices, vectors, norms) with a leading member axis, which update themselves going backward.

At the sizes of Glorot & Bengio (5 x 1000 units, batches of 10) a step is bound by memory: weights are read
forward, read backward, a gradient is written, and read again by the optimiser. Here the gradient of a part
goes into its weights as soon as it is known, while they are in the cache, and with a thin batch it is never
formed at all.

Side effects in a backward pass would be a trap if it could run twice. It cannot: the weights are saved and changed in
place, so that a second backward pass, gradcheck, and a part used twice raise torch's "modified by an inplace
operation"; a backward pass that is itself to be differentiated (create_graph) raises as well.

Legend: M members, B batch, I fan-in, O fan-out, N entries of a vector or units of a state, H half the units.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from vgexp.networks.checkpoint import State
from vgexp.networks.gradients import FormedGradient, Gradient, MatrixGradient
from vgexp.networks.normalizations import Normalization, Statistics
from vgexp.numerics import affine, times_transposed

Key = tuple[int, str]
"""A layer and the name of a part in it: "" for the last or only matrix, else `inner`, `gate`, `norm`, `alpha`, ..."""
RUNNING_SHARE = 0.1
"""What a batch contributes to the running statistics of batch normalisation, as torch has it."""


class Observer(Protocol):
    """Who looks at one pass. Weights and scratch buffers must be reduced at once: they are overwritten."""

    keeps: bool
    """Whether a reversible network is to keep its states, so that the rebuilt ones can be compared."""

    def output(self, part: "Matrix", z_MBO: Tensor) -> None:
        """What a matrix puts out."""
        ...

    def activation(self, part: "Matrix", z_MBN: Tensor, h_MBN: Tensor) -> None:
        """h = phi(z), where `part` is the matrix that completed z."""
        ...

    def block(self, layer: int, before: State, after: State) -> None:
        """A layer has run: the states below and above it."""
        ...

    def backward(self, part: "Part", gradient: Gradient) -> None:
        """The gradients of a part that is not updated yet."""
        ...

    def updating(self, part: "Part", gradient: Gradient) -> None:
        """The clipped gradients of a part, which it is about to be updated by, where gradients are clipped."""
        ...

    def updated(self, part: "Part") -> None:
        """The part's share of the backward pass is over, its update included; or its update, where it comes later."""
        ...

    def state_gradient(self, layer: int, dx_MBN: Tensor) -> None:
        """The gradient with respect to the state above a layer, or to one of its tensors."""
        ...

    def rebuilt(self, layer: int, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        """The state that a reversible layer's backward pass rebuilt, and what it had been."""
        ...


Update = Callable[["Part", Gradient], None]
"""Changes a part by its gradient."""


@dataclass(eq=False)
class Matrix:
    """M linear maps z = h W + b of one layer.

    Weights are stored (M, in, out): 15 % faster than (M, out, in) on a CPU.
    """

    layer: int
    name: str
    weight_MIO: Tensor
    bias_M1O: Tensor
    rates_M11: Mapping[str, Tensor]
    """What the learning rate is multiplied by, by tensor, in float64."""
    scratch: dict[Any, Tensor] = field(default_factory=dict, repr=False)
    """Buffers shared by all matrices of a network."""

    def __post_init__(self) -> None:
        self.key: Key = (self.layer, self.name)
        self.tensors = self.state = {"weight": self.weight_MIO, "bias": self.bias_M1O}
        # Nothing is ever accumulated into .grad: this only makes autograd reach the first layer.
        self.weight_MIO.requires_grad_(True)

    def to(self, device: torch.device | str, scratch: dict[Any, Tensor]) -> "Matrix":
        """A copy on another device, with buffers there."""
        weight_MIO, bias_M1O = (tensor.detach().to(device, copy=True) for tensor in self.tensors.values())
        return Matrix(self.layer, self.name, weight_MIO, bias_M1O, _moved(self.rates_M11, device), scratch)

    def __call__(self, h_MBI: Tensor, observer: Observer | None = None, update: Update | None = None) -> Tensor:
        out: Any = _Linear.apply(h_MBI, self.weight_MIO, self, observer, update)
        return out


@dataclass(eq=False)
class Vector:
    """M vectors of one layer: a gain a unit, or with one entry a scalar."""

    layer: int
    name: str
    weight_M1N: Tensor
    rates_M11: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        self.key: Key = (self.layer, self.name)
        self.tensors = self.state = {"weight": self.weight_M1N}
        self.weight_M1N.requires_grad_(True)

    def to(self, device: torch.device | str, scratch: dict[Any, Tensor]) -> "Vector":
        """A copy on another device."""
        weight_M1N = self.weight_M1N.detach().to(device, copy=True)
        return Vector(self.layer, self.name, weight_M1N, _moved(self.rates_M11, device))

    def __call__(self, batch_size: int, observer: Observer | None = None, update: Update | None = None) -> Tensor:
        """The vector, (M, 1, N), for use in a pass over so many examples."""
        out: Any = _Weight.apply(self.weight_M1N, self, batch_size, observer, update)
        return out


@dataclass(eq=False)
class Norm:
    """M normalisations of one layer, each with a gain and, where the mean is taken off, a shift for every unit."""

    layer: int
    name: str
    normalization: Normalization
    weight_M1N: Tensor
    """The gain."""
    bias_M1N: Tensor | None
    """The shift."""
    rates_M11: Mapping[str, Tensor]
    running: Statistics | None
    """Of batch normalisation: means over the batches so far, which the network is evaluated with."""

    def __post_init__(self) -> None:
        self.key: Key = (self.layer, self.name)
        self.tensors = {"weight": self.weight_M1N} | ({} if self.bias_M1N is None else {"bias": self.bias_M1N})
        self.state = dict(self.tensors)
        if self.running is not None:
            self.state |= {"mean": self.running.mean_M1N, "variance": self.running.variance_M1N}
        self.weight_M1N.requires_grad_(True)

    def to(self, device: torch.device | str, scratch: dict[Any, Tensor]) -> "Norm":
        """A copy on another device."""
        moved = {name: tensor.detach().to(device, copy=True) for name, tensor in self.tensors.items()}
        running = self.running and Statistics(*(tensor.to(device, copy=True) for tensor in self.running))
        rates_M11 = _moved(self.rates_M11, device)
        weight_M1N, bias_M1N = moved["weight"], moved.get("bias")
        return Norm(self.layer, self.name, self.normalization, weight_M1N, bias_M1N, rates_M11, running)

    def __call__(
        self,
        x_MBN: Tensor,
        observer: Observer | None = None,
        update: Update | None = None,
        statistics: Statistics | None = None,
    ) -> tuple[Tensor, Statistics | None]:
        """gain n + shift, by the given statistics or by those of the batch; and those of the batch, if it took them."""
        taken: list[Statistics] = []
        out: Any = _Normalized.apply(x_MBN, self.weight_M1N, self, statistics, taken, observer, update)
        return out, taken[0] if taken else None

    @torch.no_grad()
    def follow(self, batch: Statistics, batch_size: int) -> None:
        """Moves the running statistics towards those of a batch, its variance without bias, as torch has it."""
        if self.running is not None:
            unbiased = batch_size / max(1, batch_size - 1)
            self.running.mean_M1N.lerp_(batch.mean_M1N, RUNNING_SHARE)
            self.running.variance_M1N.lerp_(batch.variance_M1N * unbiased, RUNNING_SHARE)


Part = Matrix | Vector | Norm
"""`tensors` are what is trained, `state` is what a training needs to go on."""


def _moved(tensors: Mapping[str, Tensor], device: torch.device | str) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def _hand_over(part: Part, gradient: Gradient, observer: Observer | None, update: Update | None) -> None:
    """A gradient goes to whoever looks and to whoever trains, in this order."""
    if observer is not None:
        observer.backward(part, gradient)
    if update is not None:
        update(part, gradient)
    if observer is not None:
        observer.updated(part)


class _Linear(torch.autograd.Function):
    """z = h W + b, whose backward hands dW and db over instead of returning them."""

    @staticmethod
    def forward(
        ctx: Any, h_MBI: Tensor, weight_MIO: Tensor, part: Matrix, observer: Observer | None, update: Update | None
    ) -> Tensor:
        ctx.save_for_backward(h_MBI, weight_MIO)
        ctx.part, ctx.observer, ctx.update = part, observer, update
        return affine(h_MBI, weight_MIO, part.bias_M1O)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        (dz_MBO,) = grad_outputs
        h_MBI, weight_MIO = ctx.saved_tensors
        # The old weights carry dz down; only then may they change.
        dh_MBI = times_transposed(dz_MBO, weight_MIO) if ctx.needs_input_grad[0] else None
        _hand_over(ctx.part, MatrixGradient(h_MBI, dz_MBO, ctx.part.scratch), ctx.observer, ctx.update)
        return dh_MBI, None, None, None, None


class _Weight(torch.autograd.Function):
    """A vector as it is, whose backward hands its gradient over: by then every use of it has been differentiated."""

    @staticmethod
    def forward(
        ctx: Any,
        weight_M1N: Tensor,
        part: Vector,
        batch_size: int,
        observer: Observer | None,
        update: Update | None,
    ) -> Tensor:
        ctx.save_for_backward(weight_M1N)  # so that a second backward pass raises
        ctx.part, ctx.batch_size, ctx.observer, ctx.update = part, batch_size, observer, update
        return weight_M1N.view_as(weight_M1N)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, None, None, None, None]:
        (sum_M1N,) = grad_outputs
        _ = ctx.saved_tensors
        _hand_over(ctx.part, FormedGradient({"weight": sum_M1N}, ctx.batch_size), ctx.observer, ctx.update)
        return None, None, None, None, None


class _Normalized(torch.autograd.Function):
    """gain n + shift, whose backward hands the gradients of both over."""

    @staticmethod
    def forward(
        ctx: Any,
        x_MBN: Tensor,
        weight_M1N: Tensor,
        part: Norm,
        statistics: Statistics | None,
        taken: list[Statistics],
        observer: Observer | None,
        update: Update | None,
    ) -> Tensor:
        n_MBN, inverse, batch = part.normalization.forward(x_MBN, statistics)
        if batch is not None:
            taken.append(batch)
        ctx.save_for_backward(n_MBN, inverse, weight_M1N)
        ctx.part, ctx.given, ctx.observer, ctx.update = part, statistics is not None, observer, update
        return n_MBN * weight_M1N if part.bias_M1N is None else torch.addcmul(part.bias_M1N, n_MBN, weight_M1N)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None, None, None, None]:
        (dy_MBN,) = grad_outputs
        n_MBN, inverse, weight_M1N = ctx.saved_tensors
        if ctx.given:
            dx_MBN = dy_MBN * weight_M1N * inverse
            along_M1N, sum_M1N = (dy_MBN * n_MBN).sum(1, keepdim=True), dy_MBN.sum(1, keepdim=True)
        else:
            dx_MBN, along_M1N, sum_M1N = ctx.part.normalization.backward(dy_MBN, n_MBN, inverse, weight_M1N)
        sums = {"weight": along_M1N, "bias": sum_M1N}
        gradient = FormedGradient({name: sums[name] for name in ctx.part.tensors}, dy_MBN.shape[1])
        _hand_over(ctx.part, gradient, ctx.observer, ctx.update)
        return dx_MBN, None, None, None, None, None, None
