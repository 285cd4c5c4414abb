"""Norms that do not vanish with what they measure.

A float32 norm is exactly 0 once the entries fall below about 1e-23, because their square underflows, although the
gradient is alive, and inf above 1e19. A float64 one has to copy the tensor first, which costs many times the norm. On
a host, looking at a result is free: float32 first, float64 where that cannot be trusted. On a device, where looking
would wait, float64 at once. BLAS sums on one thread; where a step has several and a stack is large, torch shares its
members out.

Legend: M members, P and Q any.
"""

import torch
from torch import Tensor

from vgexp.numerics.blas import DOTS, sums

SAFE = (1e-12, 1e12)
"""The range in which a float32 norm of up to 1e12 entries is right."""
SMALLEST, LARGEST = (bound**2 for bound in SAFE)
SHARED, LONG = 2**16, 2**14
"""Entries of a stack from which threads share the sum, and of a member from which torch would lose digits (1e-5)."""
Numbers = list[float] | Tensor
"""One number a member: on a host floats, on a device a float64 tensor there."""


def norm(x_MPQ: Tensor) -> Tensor:
    """Euclidean norm over the last two axes, (M,), in float64."""
    return torch.as_tensor(square(x_MPQ), dtype=torch.float64).sqrt()


def square(x_MPQ: Tensor) -> Numbers:
    """Sum of squares over the last two axes, (M,)."""
    if not x_MPQ.is_cpu:
        return _exact(x_MPQ.detach())
    members = x_MPQ.size(0)
    if members > 1 and x_MPQ.numel() >= SHARED and torch.get_num_threads() > 1:
        squares = _shared(x_MPQ.detach())
    else:
        squares = sums(x_MPQ, members, squared=True)
    for value in squares:
        if not SMALLEST < value < LARGEST:
            return squares if x_MPQ.dtype == torch.float64 else _exact(x_MPQ.detach()).tolist()
    return squares


def numbers(x_M: Tensor) -> Numbers:
    """A tensor of one number a member, as Numbers."""
    return x_M.tolist() if x_M.is_cpu else x_M


def _shared(x_MPQ: Tensor) -> list[float]:
    if x_MPQ.numel() > LONG * len(x_MPQ):
        x_MPQ = torch.linalg.vector_norm(x_MPQ, dim=-1, keepdim=True)
    return [root * root for root in torch.linalg.vector_norm(x_MPQ, dim=(-2, -1)).tolist()]


def _exact(x_MPQ: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x_MPQ, dim=(-2, -1), dtype=torch.float64).square()


def total_norm(x: Tensor) -> float | Tensor:
    """Euclidean norm over all entries of a tensor of any shape, layout and dtype; on a device, where one would have to
    wait for a number, as a tensor."""
    if x.dtype in DOTS and x.is_cpu and x.layout is torch.strided:
        (square,) = sums(x, 1, squared=True)
        return square**0.5 if SMALLEST < square < LARGEST else _scaled_norm(x.detach().double())
    x = x.detach()
    if x.layout is not torch.strided:
        x = (x.coalesce() if x.layout == torch.sparse_coo else x).values()
    if x.is_complex():
        x = torch.view_as_real(x)
    if x.is_cpu:
        return total_norm(x if x.dtype in DOTS else x.float())
    return torch.linalg.vector_norm(x, dtype=torch.float64)


def _scaled_norm(x: Tensor) -> float:
    """Divided by the largest entry first: right for whatever float64 can hold."""
    largest = x.abs().max().item() if x.numel() else 0.0
    return torch.linalg.vector_norm(x / largest).item() * largest if 0 < largest < torch.inf else largest
