"""The memory of the process that trains."""

import ctypes
import resource
import sys

import torch

M_MMAP_THRESHOLD = -3
"""glibc's name for: blocks from this size on are mapped, and unmapped when freed."""


def peak_bytes(device: torch.device) -> int:
    """Peak memory: of CUDA's allocator on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def return_freed_memory() -> None:
    """Makes glibc give freed blocks back to the system, which by default it keeps: a step that is to need little memory
    would otherwise hold twice as much. Costs time, hence for large networks only; does nothing without glibc."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 16)
