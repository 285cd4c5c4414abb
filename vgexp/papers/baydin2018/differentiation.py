"""Four ways to differentiate one small network: reverse mode, forward mode, symbols, and differences.

f(x) = sum of squares / 2 of W_D phi(... phi(W_1 x)), in float64, by the gradient with respect to x.

Legend: L matrices, N units.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import jvp
from torch.utils.flop_counter import FlopCounterMode

from vgexp.networks import ACTIVATIONS
from vgexp.numerics import generator

PHI = ACTIVATIONS["tanh"]
Function = Callable[[Tensor], Tensor]


def matrices(seed: int, inputs: int, width: int, depth: int) -> list[Tensor]:
    """W_1 (N, inputs) and square ones above, Var W = 1 / fan_in."""
    draw = generator("weights", seed, 0)
    fans = [inputs] + [width] * depth
    return [
        torch.randn(rows, columns, dtype=torch.float64, generator=draw) / columns**0.5
        for columns, rows in zip(fans[:-1], fans[1:], strict=True)
    ]


def point(seed: int, inputs: int) -> Tensor:
    return torch.randn(inputs, dtype=torch.float64, generator=generator("batches", seed, 0))


def network(weights: Sequence[Tensor]) -> Function:
    """x -> f(x), a number."""

    def f(x: Tensor) -> Tensor:
        for weight in weights[:-1]:
            x = PHI.phi(weight @ x)
        return (weights[-1] @ x).square().sum() / 2

    return f


def reverse(f: Function, x: Tensor) -> Tensor:
    """The gradient by reverse mode: one sweep, whatever the number of inputs."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x), x)[0]


def forward(f: Function, x: Tensor) -> Tensor:
    """The gradient by forward mode: one sweep an input."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, when it first loads its forward rules
        return torch.stack([jvp(f, (x,), (direction,))[1] for direction in torch.eye(len(x), dtype=x.dtype)])


def symbolic(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    """The gradient as the chain rule writes it: the explicit product of the layers' Jacobians W and diag(phi')."""
    jacobian = torch.eye(len(x), dtype=x.dtype)
    for weight in weights[:-1]:
        z = weight @ x
        jacobian = torch.diag(PHI.slope(z)) @ weight @ jacobian
        x = PHI.phi(z)
    return (weights[-1] @ x) @ weights[-1] @ jacobian


def numeric(f: Function, x: Tensor, step: float, central: bool) -> Tensor:
    """The gradient by differences: (f(x + h) - f(x)) / h, or (f(x + h) - f(x - h)) / 2h."""
    directions = torch.eye(len(x), dtype=x.dtype) * step
    if central:
        return torch.stack([(f(x + d) - f(x - d)) / (2 * step) for d in directions])
    return torch.stack([(f(x + d) - f(x)) / step for d in directions])


def flops(compute: Callable[[], Tensor]) -> int:
    """Products counted by torch, matrix times vector included."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.mv: _mv}) as counter:
        compute()
    return counter.get_total_flops()


def _mv(matrix: Sequence[int], vector: Sequence[int], *_: object, **__: object) -> int:
    return 2 * matrix[0] * matrix[1]
