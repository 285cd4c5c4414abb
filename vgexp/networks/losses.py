"""Losses of a stack, one number an example and member.

They are back-propagated as a plain sum over members and examples: a member must not feel its neighbours, and
dz stays at the scale of one example (the 1/B of the batch mean is put into the update).

Legend: M members, B batch, C outputs.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor


def cross_entropy(z_MBC: Tensor, y_MB: Tensor) -> Tensor:
    """-log softmax(z)_y, in nats."""
    return F.cross_entropy(z_MBC.flatten(0, 1), y_MB.flatten(), reduction="none").view(y_MB.shape)


def quadratic(z_MBC: Tensor, y_MB: Tensor) -> Tensor:
    """Half the squared distance of the linear outputs to the one-hot target."""
    one_hot_MBC = F.one_hot(y_MB, z_MBC.shape[-1]).to(z_MBC.dtype)
    return 0.5 * (z_MBC - one_hot_MBC).square().sum(-1)


def cotangent(z_MBC: Tensor, xi_MBC: Tensor) -> Tensor:
    """z . xi with a Gaussian xi a example: then dz at the readout is xi, free of what the network says.

    With cross-entropy the gradients of all examples become collinear in depth, which biases depth exponents.
    """
    return (z_MBC * xi_MBC).sum(-1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "quadratic": quadratic,
    "cotangent": cotangent,
}
