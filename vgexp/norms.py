"""Norms that do not vanish with what they measure.

A float32 norm is exactly 0 once the entries fall below about 1e-23, because their square underflows, although the
gradient is alive, and inf above 1e19. A float64 one has to copy the tensor first, which costs many times the norm. On
a host, looking at a result is free: float32 first, float64 where that cannot be trusted. On a device, where looking
would wait, float64 at once.

On a host the work is numpy's: of an operation on some thousand numbers most is what it costs before it begins, and
numpy's begin in a third of the time of torch's.

Legend: K layers, M members, P and Q any.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

SAFE = (1e-12, 1e12)
"""The range in which a float32 norm of up to 1e12 entries is right."""
SERIAL = 8192
"""Entries up to which a dot product of numpy's stays on its thread: its threads and torch's would fight for the
cores."""
Numbers = np.ndarray | Tensor
"""Float64 numbers: on a host numpy's, on a device a tensor there."""


def norm(x_MPQ: Tensor) -> Tensor:
    """Euclidean norm over the last two axes, (M,)."""
    return torch.as_tensor(norms([x_MPQ])[0])


def norms(layers: Sequence[Tensor]) -> Numbers:
    """`norm` of each of K tensors, whose shapes may differ but for their members: (K, M)."""
    if not layers[0].is_cpu:
        return torch.stack([_exact(x_MPQ) for x_MPQ in layers])
    with np.errstate(over="ignore", invalid="ignore"):
        fast_KM = np.sqrt(np.array([square(x_MPQ.detach().numpy()) for x_MPQ in layers], dtype=np.float64))
    low, high = SAFE
    if layers[0].dtype != torch.float64 and not (low < fast_KM.min() and fast_KM.max() < high):
        for k in np.flatnonzero(~((low < fast_KM) & (fast_KM < high)).all(1)).tolist():
            fast_KM[k] = _exact(layers[k]).numpy()
    return fast_KM


def _exact(x_MPQ: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x_MPQ.detach(), dim=(-2, -1), dtype=torch.float64)


def square(x_MPQ: np.ndarray) -> np.ndarray:
    """Sum of squares over the last two axes."""
    x_MX = x_MPQ.reshape(len(x_MPQ), -1)
    whole = x_MX.shape[1] // SERIAL * SERIAL
    rest_MX = x_MX[:, whole:]
    if not whole:
        return np.vecdot(rest_MX, rest_MX)
    blocks_MPX = x_MX[:, :whole].reshape(len(x_MX), -1, SERIAL)
    return np.vecdot(blocks_MPX, blocks_MPX).sum(-1, dtype=np.float64) + np.vecdot(rest_MX, rest_MX)


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
