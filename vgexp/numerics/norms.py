"""Norms that neither underflow nor overflow.

A float32 sum of squares is exactly 0 once the entries fall below about 1e-23, although the gradient is alive, and inf
once they rise above about 1e19. A float64 sum is right, but costs twice as much or more. On a host it costs nothing to
look at a result: the sum is taken in float32, and once more in float64 where that was out of range. On a device one
would have to wait for the result, so there float64 is used at once.

A recorded step takes a hundred sums of a few thousand entries each, so that a call costs more than its arithmetic. For
a single member numpy's dot product costs least; for a stack it is torch's norm, which shares members out among threads.

Legend: M members, P and Q any.
"""

import numpy as np
import torch
from torch import Tensor

SAFE_FROM, SAFE_TO = 1e-24, 1e24
"""The range in which a float32 sum of squares of up to 1e12 entries is right."""
PIECE = 8192
"""The most entries that are summed in float32 at once. More would lose digits, and the BLAS behind numpy would start
threads of its own, which compete with torch's."""
Numbers = list[float] | Tensor
"""One number a member: floats on a host, a float64 tensor on a device."""
WITHOUT_FLOAT64 = ("mps",)
"""Kinds of devices that have no float64: their tensors are measured on the host, which shares their memory."""


def norm(x_MPQ: Tensor) -> Tensor:
    """Euclidean norm over the last two axes, (M,), in float64."""
    return torch.as_tensor(square(x_MPQ), dtype=torch.float64).sqrt()


def safe_norm(x_MPQ: Tensor) -> Tensor:
    """The same, right for whatever x can hold: of float64, whose squares overflow too, over its largest entry first."""
    if x_MPQ.dtype is not torch.float64:
        return norm(x_MPQ)
    largest_M11 = torch.linalg.vector_norm(x_MPQ, torch.inf, (-2, -1), keepdim=True)
    scale_M11 = torch.where(largest_M11.isfinite(), largest_M11, 1.0).clamp(min=torch.finfo(torch.float64).tiny)
    return torch.linalg.vector_norm(x_MPQ / scale_M11, dim=(-2, -1)) * scale_M11[:, 0, 0]


def square(x_MPQ: Tensor) -> Numbers:
    """Sum of squares over the last two axes, (M,)."""
    if x_MPQ.requires_grad:
        x_MPQ = x_MPQ.detach()
    if not x_MPQ.is_cpu and x_MPQ.device.type in WITHOUT_FLOAT64:
        x_MPQ = x_MPQ.cpu()
    if not x_MPQ.is_cpu:
        return _exact(x_MPQ)
    if x_MPQ.size(0) == 1 and (array := _array(x_MPQ)) is not None:
        squares = [_dot(array)]
    elif x_MPQ.size(-1) <= PIECE and x_MPQ.dtype in (torch.float32, torch.float64):
        norm_MP = torch.linalg.vector_norm(x_MPQ, dim=-1)
        squares = _exact(norm_MP[..., None]).tolist()
    else:
        return _exact(x_MPQ).tolist()
    for value in squares:
        if not SAFE_FROM < value < SAFE_TO:
            return _exact(x_MPQ).tolist()
    return squares


def numbers(x_M: Tensor | Numbers) -> Numbers:
    """One number a member, as Numbers."""
    return x_M.tolist() if isinstance(x_M, Tensor) and x_M.is_cpu else x_M


def total_norm(x: Tensor) -> float | Tensor:
    """Euclidean norm over all entries of a tensor of any shape, layout and dtype: a float on a host, a tensor on a
    device, where a float would have to be waited for."""
    if x.requires_grad:
        x = x.detach()
    if x.layout is not torch.strided:
        x = (x.coalesce() if x.layout is torch.sparse_coo else x).values()
    if x.is_complex():
        x = torch.view_as_real(x.resolve_conj())
    if not x.is_cpu and x.device.type in WITHOUT_FLOAT64:
        x = x.cpu()
    if x.itemsize == 1 or not x.is_floating_point():  # float8 has no arithmetic, integers no norm
        x = x.double()
    if not x.is_cpu:
        return torch.linalg.vector_norm(x, dtype=torch.float64)
    array = _array(x)
    total = _dot(array) if array is not None else torch.linalg.vector_norm(x, dtype=torch.float64).square().item()
    return total**0.5 if SAFE_FROM < total < SAFE_TO else _scaled_norm(x)


def _array(x: Tensor) -> np.ndarray | None:
    """A tensor of float32 or float64 as numpy sees it. None for other dtypes, and where numpy sees no entries:
    subclasses that wrap other tensors, zero tensors of autograd, views that are negated lazily."""
    if x.dtype is not torch.float32 and x.dtype is not torch.float64:
        return None
    try:
        return x.numpy()
    except (RuntimeError, TypeError):
        return None


def _dot(array: np.ndarray) -> float:
    """Sum of squares of all entries."""
    flat, total = array.reshape(-1), 0.0
    for start in range(0, len(flat), PIECE):
        piece = flat[start : start + PIECE]
        total += float(np.vdot(piece, piece))
    return total


def _exact(x_MPQ: Tensor) -> Tensor:
    """Sum of squares over the last two axes in float64, (M,)."""
    return torch.linalg.vector_norm(x_MPQ, dim=(-2, -1), dtype=torch.float64).square()


def _scaled_norm(x: Tensor) -> float:
    """Divided by the largest entry first: right for whatever float64 can hold."""
    x = x.double()
    largest = x.abs().max().item() if x.numel() else 0.0
    return torch.linalg.vector_norm(x / largest).item() * largest if 0 < largest < torch.inf else largest
