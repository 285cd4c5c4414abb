"""Norms that do not vanish with what they measure.

A float32 norm is exactly 0 once the entries fall below about 1e-23, because their square underflows, although the
gradient is alive, and inf above 1e19. A float64 one has to copy the tensor first, which costs many times the norm. On
a host, looking at a result is free: float32 first, float64 where that cannot be trusted. On a device, where looking
would wait, float64 at once.

What a reduction costs is not its arithmetic: a product of eight numbers by numpy takes 1 microsecond in a loop of its
own and 8 between the layers of a network, whose products have driven its code out of the caches. So there are as few
calls as possible: one dot product by torch for a single member, one by numpy for several.

Legend: M members, P and Q any.
"""

import numpy as np
import torch
from torch import Tensor

SAFE = (1e-12, 1e12)
"""The range in which a float32 norm of up to 1e12 entries is right."""
SMALLEST, LARGEST = (bound**2 for bound in SAFE)
SERIAL = 8192
"""Entries up to which a dot product of numpy's stays on its thread: its threads and torch's would fight for the
cores."""
ACCURATE = 2**14
"""Entries up to which a float32 dot product of torch's is right to 1e-5 even if all are equal: it sums from end to end,
where numpy's is right to 1e-6."""
Numbers = list[float] | Tensor
"""One number a member: on a host floats, on a device a float64 tensor there."""


def norm(x_MPQ: Tensor) -> Tensor:
    """Euclidean norm over the last two axes, (M,), in float64."""
    return torch.as_tensor(square(x_MPQ), dtype=torch.float64).sqrt()


def square(x_MPQ: Tensor) -> Numbers:
    """Sum of squares over the last two axes, (M,). Where one of several members overflows, numpy warns before it is
    taken again: who expects that, silences it once a step (`np.errstate`), which costs as much as a sum."""
    if not x_MPQ.is_cpu:
        return _exact(x_MPQ.detach())
    squares = fast_squares(x_MPQ.detach() if x_MPQ.requires_grad else x_MPQ)
    for value in squares:
        if not SMALLEST < value < LARGEST:
            return squares if x_MPQ.dtype == torch.float64 else _exact(x_MPQ.detach()).tolist()
    return squares


def fast_squares(x_MPQ: Tensor) -> list[float]:
    """Sums of squares on a host, right where they are between SMALLEST and LARGEST."""
    if x_MPQ.shape[0] == 1 and x_MPQ.numel() <= ACCURATE:
        x_X = x_MPQ.reshape(-1)
        return [x_X.dot(x_X).item()]
    x_MX = x_MPQ.numpy().reshape(x_MPQ.shape[0], -1)
    members, entries = x_MX.shape
    if entries <= SERIAL:
        return np.vecdot(x_MX, x_MX).tolist()
    rest = entries % SERIAL
    pieces_MPX, rest_MX = x_MX[:, : entries - rest].reshape(members, -1, SERIAL), x_MX[:, entries - rest :]
    return (np.vecdot(pieces_MPX, pieces_MPX).sum(-1, dtype=np.float64) + np.vecdot(rest_MX, rest_MX)).tolist()


def numbers(x_M: Tensor) -> Numbers:
    """A tensor of one number a member, as Numbers."""
    return x_M.tolist() if x_M.is_cpu else x_M


def _exact(x_MPQ: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x_MPQ, dim=(-2, -1), dtype=torch.float64).square()


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
