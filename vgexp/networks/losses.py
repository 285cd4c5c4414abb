"""Losses: one number for each example of each member.

What is back-propagated is their plain sum: so no member feels its neighbors, and dz stays at the scale of one example
(the update divides by B).

Legend: M members, B batch, C outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from vgexp.config import own


@dataclass(frozen=True)
class Loss:
    """A function of outputs (M, B, C) and targets, with one number for each example, (M, B)."""

    function: Callable[[Tensor, Tensor], Tensor]
    """The targets are classes (M, B), for `cotangent` its xi (M, B, C)."""
    version: int = 1
    """Raised when the function changes: its runs are then other runs."""

    def __call__(self, z_MBC: Tensor, target: Tensor) -> Tensor:
        return self.function(z_MBC, target)


def cross_entropy(z_MBC: Tensor, y_MB: Tensor) -> Tensor:
    """-log softmax(z)_y, in nats."""
    return F.cross_entropy(z_MBC.flatten(0, 1), y_MB.flatten(), reduction="none").view(y_MB.shape)


def quadratic(z_MBC: Tensor, y_MB: Tensor) -> Tensor:
    """Half the squared distance of the linear outputs to the one-hot target."""
    one_hot_MBC = F.one_hot(y_MB, z_MBC.shape[-1]).to(z_MBC.dtype)
    return 0.5 * (z_MBC - one_hot_MBC).square().sum(-1)


def cotangent(z_MBC: Tensor, xi_MBC: Tensor) -> Tensor:
    """z . xi with a Gaussian xi for each example: dz at the readout is xi, whatever the outputs are.

    With cross-entropy the gradients of all examples become collinear in depth, which biases depth exponents.
    """
    return (z_MBC * xi_MBC).sum(-1)


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(cross_entropy),
    "quadratic": Loss(quadratic),
    "cotangent": Loss(cotangent),
}
own(LOSSES)
