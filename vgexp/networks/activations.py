"""Activations h = phi(z), each with its derivative in closed form.

The same object serves the network (called), the probes (slope: saturation, dead units, Jacobians) and the theory
(phi and slope, under a Gaussian integral, which must know the kinks). To add one, write one entry of `ACTIVATIONS`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vgexp.config import ModelConfig, own

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. (2017), eq. 14: the fixed point at mean 0 and variance 1."""
NUMPY_TANH_FROM = 2**15
"""Entries of a tensor from which numpy's tanh is quicker than torch's."""


@dataclass(frozen=True)
class Activation:
    """An elementwise function and what has to be known about it."""

    phi: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    """phi'(z). At a kink, the value torch's autograd uses."""
    max_slope: float = 1.0
    """The maximum of |phi'|, against which saturation is measured."""
    kinks: tuple[float, ...] = ()
    """Points, other than 0, where phi or phi' is not smooth: quadrature is split there (and always at 0)."""
    piecewise_linear: bool = False
    """Then saturation is not defined (NaN): a slope is there or it is not, which is what `dead` counts."""
    reads: frozenset[str] = frozenset()
    """The fields of the config, beside those that every model has, that it is made from."""
    version: int = 1
    """Raised when the function changes: its runs are then other runs."""
    fast: Callable[[Tensor], Tensor] | None = None
    """The same function, quicker, but for training alone: it knows the backward pass, not forward-mode derivatives."""
    of: "Callable[[ModelConfig], Activation] | None" = None
    """The activation of a config, where it is made from one."""

    def __call__(self, z: Tensor) -> Tensor:
        """phi(z) in a training step: `fast` where there is one."""
        return self.phi(z) if self.fast is None else self.fast(z)


@cache
def leaky_relu(negative_slope: float, gain: float = 1.0) -> Activation:
    """gain (max(z, 0) + negative_slope min(z, 0))."""
    return Activation(
        lambda z: gain * F.leaky_relu(z, negative_slope),
        lambda z: gain * (negative_slope + (1 - negative_slope) * (z > 0).to(z.dtype)),
        max_slope=gain * max(1.0, abs(negative_slope)),
        piecewise_linear=True,
    )


TAILORED_CORRELATION = 0.9
"""What a tailored network makes of the correlation 0 between two inputs: eta of Zhang et al. (2022)."""


@cache
def tailored(depth: int) -> Activation:
    """Leaky ReLU whose slope alpha fits a plain network of a depth: two inputs that have nothing in common come out of
    `depth` layers with the correlation `TAILORED_CORRELATION`, of which ReLU would leave almost 1.

    C(C(...C(0))) = eta,  C(c) = c + (1 - alpha)^2 / (pi (1 + alpha^2)) (sqrt(1 - c^2) - c acos c)

    The gain sqrt(2 / (1 + alpha^2)) keeps lengths and gradients at sigma_w = 1. Networks so shallow that ReLU stays
    below eta have ReLU. Zhang et al. (2022), "Deep learning without shortcuts: shaping the kernel with tailored
    rectifiers".
    """

    def too_large(alpha: float) -> bool:
        c, bend = 0.0, (1 - alpha) ** 2 / (math.pi * (1 + alpha**2))
        for _ in range(depth):
            c = min(1.0, c + bend * (math.sqrt(1 - c * c) - c * math.acos(c)))
        return c > TAILORED_CORRELATION

    low, high = 0.0, 1.0  # the correlation falls with alpha, from that of ReLU to 0
    if too_large(low):
        for _ in range(52):
            middle = (low + high) / 2
            low, high = (middle, high) if too_large(middle) else (low, middle)
    return leaky_relu(low, math.sqrt(2 / (1 + low**2)))


def fast_tanh(z: Tensor) -> Tensor:
    """tanh(z). numpy's takes a seventh of the time of torch's on one thread, to the same last digit; which one is used
    depends on device, type and size alone, so that a run can be repeated bit by bit."""
    if z.is_cpu and z.dtype is torch.float32 and z.numel() >= NUMPY_TANH_FROM:
        return _NumpyTanh.apply(z)  # pyright: ignore[reportReturnType]
    return torch.tanh(z)


class _NumpyTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        h = torch.from_numpy(np.tanh(z.numpy()))
        ctx.save_for_backward(h)
        return h

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (h,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(grad_outputs[0], h)


def _sigmoid_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s)


def _normal_pdf(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _normal_cdf(z: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-z / math.sqrt(2))


def _silu_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _mish_slope(z: Tensor) -> Tensor:
    t = torch.tanh(torch.logaddexp(z, torch.zeros_like(z)))
    return t + z * (1 - t * t) * torch.sigmoid(z)


def _gelu_slope(z: Tensor) -> Tensor:
    return _normal_cdf(z) + z * _normal_pdf(z)


def _elu_slope(z: Tensor) -> Tensor:
    return torch.exp(z.clamp(max=0))


def _selu_slope(z: Tensor) -> Tensor:
    return SELU_SCALE * torch.where(z > 0, 1.0, SELU_ALPHA * torch.exp(z.clamp(max=0)))


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(lambda z: z, torch.ones_like, piecewise_linear=True),
    "sigmoid": Activation(torch.sigmoid, _sigmoid_slope, max_slope=0.25),
    "tanh": Activation(torch.tanh, lambda z: 1 - torch.tanh(z) ** 2, fast=fast_tanh),
    "softsign": Activation(lambda z: z / (1 + z.abs()), lambda z: 1 / (1 + z.abs()) ** 2),
    "relu": Activation(torch.relu, lambda z: (z > 0).to(z.dtype), piecewise_linear=True),
    "leaky_relu": replace(
        leaky_relu(0.01),
        reads=frozenset({"model.negative_slope"}),
        of=lambda model: leaky_relu(model.negative_slope),
    ),
    "tailored": replace(tailored(ModelConfig().depth), of=lambda model: tailored(model.depth)),
    "lecun_tanh": Activation(  # LeCun et al. (1998), section 4.4
        lambda z: 1.7159 * torch.tanh(2 / 3 * z),
        lambda z: 1.7159 * 2 / 3 * (1 - torch.tanh(2 / 3 * z) ** 2),
        max_slope=1.7159 * 2 / 3,
        fast=lambda z: 1.7159 * fast_tanh(2 / 3 * z),
    ),
    "erf": Activation(
        torch.erf,
        lambda z: 2 / math.sqrt(math.pi) * torch.exp(-z * z),
        max_slope=2 / math.sqrt(math.pi),
    ),
    "hardtanh": Activation(F.hardtanh, lambda z: (z.abs() < 1).to(z.dtype), kinks=(-1.0, 1.0), piecewise_linear=True),
    "elu": Activation(F.elu, _elu_slope),
    "selu": Activation(F.selu, _selu_slope, max_slope=SELU_SCALE * SELU_ALPHA),
    "gelu": Activation(F.gelu, _gelu_slope, max_slope=1.128904),
    "silu": Activation(F.silu, _silu_slope, max_slope=1.099839),
    "mish": Activation(F.mish, _mish_slope, max_slope=1.088499),  # Misra (2019)
    # Not F.softplus, which is linear, and off by 2e-9, beyond 20.
    "softplus": Activation(lambda z: torch.logaddexp(z, torch.zeros_like(z)), torch.sigmoid),
}
own(ACTIVATIONS)


def activation(model: ModelConfig) -> Activation:
    """The activation of a config."""
    entry = ACTIVATIONS[model.activation]
    return entry if entry.of is None else entry.of(model)
