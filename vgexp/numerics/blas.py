"""Sums over tensors by BLAS's dot product, called where the tensors lie.

A step with twenty layers takes a hundred of these sums, each of a few thousand entries. Their arithmetic takes half a
microsecond; a way through torch's dispatcher or numpy's ufuncs, whose code the products in between have driven out of
the caches, takes five to ten. scipy hands out its BLAS for such uses (`scipy.linalg.cython_blas`, where numba finds it
as well), and ctypes calls it with bare addresses.

Legend: M members.
"""

import ctypes
from collections.abc import Callable
from functools import lru_cache

import torch
from scipy.linalg import cython_blas
from torch import Tensor

SERIAL = 8192
"""Entries that are summed at once: few enough to stay on this thread (BLAS's threads and torch's would fight for the
cores) and to lose no digits; such sums are added up in float64."""
Dot = Callable[[int, int, int, int, int], float]
"""BLAS's xDOT by addresses: number of entries, x, its stride, y, its stride."""


def _dot(name: str, real: type) -> Dot:
    capsule = cython_blas.__pyx_capi__[name]
    address, signature = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_GetName
    address.restype, address.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    signature.restype, signature.argtypes = ctypes.c_char_p, (ctypes.py_object,)
    # It keeps Python's lock: to release and take it costs as much as the sum.
    return ctypes.PYFUNCTYPE(real, *[ctypes.c_void_p] * 5)(address(capsule, signature(capsule)))


_COUNTS = (ctypes.c_int * (SERIAL + 1))(*range(SERIAL + 1))
COUNT, WIDE = ctypes.addressof(_COUNTS), ctypes.sizeof(ctypes.c_int)
ONE, MOST = COUNT + WIDE, COUNT + WIDE * SERIAL
"""Where BLAS, which wants addresses, finds the numbers up to SERIAL: n is at COUNT + WIDE n."""
_ONES = {dtype: torch.ones(SERIAL, dtype=dtype) for dtype in (torch.float32, torch.float64)}
DOTS: dict[torch.dtype, tuple[Dot, int, int]] = {
    torch.float32: (_dot("sdot", ctypes.c_float), 4, _ONES[torch.float32].data_ptr()),
    torch.float64: (_dot("ddot", ctypes.c_double), 8, _ONES[torch.float64].data_ptr()),
}
"""The dot product of a dtype, the bytes of an entry, and the address of ones."""


def sums(x: Tensor, members: int, squared: bool) -> list[float]:
    """Sum of the entries, or of their squares, of each member of a tensor on a host, (M,); `x` is of one of the DOTS'
    dtypes and any shape whose first axis, if there are several members, is theirs."""
    if not x.is_contiguous():
        x = x.contiguous()
    dot, width, ones = DOTS[x.dtype]
    left, at = x.numel(), x.data_ptr()
    if members == 1:  # most often
        total = 0.0
        while left > SERIAL:
            total += dot(MOST, at, ONE, at if squared else ones, ONE)
            left, at = left - SERIAL, at + width * SERIAL
        return [total + dot(COUNT + WIDE * left, at, ONE, at if squared else ones, ONE)]
    totals = []
    for pieces in _plan(members, left, width):
        total = 0.0
        for count, offset in pieces:
            start = at + offset
            total += dot(count, start, ONE, start if squared else ones, ONE)
        totals.append(total)
    return totals


@lru_cache(maxsize=1024)
def _plan(members: int, entries: int, width: int) -> list[list[tuple[int, int]]]:
    """What to sum at once: for each member where the counts are, and how far off the entries."""
    each = entries // members
    return [
        [(COUNT + WIDE * min(SERIAL, each - at), width * (each * member + at)) for at in range(0, each, SERIAL)]
        for member in range(members)
    ]
