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


def total_norm(x: Tensor) -> float | Tensor:
    """Euclidean norm over all entries of a tensor of any shape, layout and dtype; on a device, where one would have to
    wait for a number, as a tensor."""
    low, high = SAFE
    if x.dtype == torch.float32 and x.is_cpu and x.layout == torch.strided:
        fast = torch.linalg.vector_norm(x).item()
        return fast if low < fast < high else _scaled_norm(x.double())
    if x.layout != torch.strided:
        x = (x.coalesce() if x.layout == torch.sparse_coo else x).values()
    if x.is_complex():
        x = torch.view_as_real(x)
    if not x.is_cpu:
        return torch.linalg.vector_norm(x, dtype=torch.float64)
    fast = torch.linalg.vector_norm(x, dtype=torch.float32 if x.dtype.itemsize < 4 else None).item()
    return fast if low < fast < high else _scaled_norm(x.double())


def total_norms(tensors: list[Tensor]) -> list[float | Tensor]:
    """`total_norm` of each: in one operation where all are plain and on the host."""
    if {(x.dtype, x.layout, x.is_cpu) for x in tensors} != {(torch.float32, torch.strided, True)}:
        return [total_norm(x) for x in tensors]
    low, high = SAFE
    fast = [value.item() for value in vars(torch)["_foreach_norm"](tensors)]
    return [value if low < value < high else total_norm(x) for value, x in zip(fast, tensors, strict=True)]


def _scaled_norm(x: Tensor) -> float:
    """Divided by the largest entry first: right for whatever float64 can hold."""
    largest = x.abs().max().item() if x.numel() else 0.0
    return torch.linalg.vector_norm(x / largest).item() * largest if 0 < largest < torch.inf else largest
