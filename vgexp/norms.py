"""Norms that do not vanish with what they measure.

A float32 norm is exactly 0 once the entries fall below about 1e-23, because their square underflows, although the
gradient is alive, and inf above 1e19. A float64 one has to copy the tensor first, which costs many times the norm. On
a host, looking at a result is free: float32 first, float64 where that cannot be trusted. On a device, where looking
would wait, float64 at once.

Legend: M members, P and Q any; ... layers of one shape, stacked.
"""

import torch
from torch import Tensor

SAFE = (1e-12, 1e12)
"""The range in which a float32 norm of up to 1e12 entries is right."""


def norm(x_MPQ: Tensor) -> Tensor:
    """Euclidean norm over the last two axes, (..., M)."""
    if not x_MPQ.is_cuda:
        low, high = SAFE
        fast = torch.linalg.vector_norm(x_MPQ, dim=(-2, -1))
        if x_MPQ.dtype == torch.float64 or all(low < value < high for value in fast.flatten().tolist()):
            return fast
    return torch.linalg.vector_norm(x_MPQ, dim=(-2, -1), dtype=torch.float64)
