"""The memory of the process that trains."""

import ctypes
import math
import re
import sys
from contextlib import suppress
from pathlib import Path

import torch

CLEAR_REFS, FORGET_PEAK = Path("/proc/self/clear_refs"), "5"
"""What is written where for Linux to forget the most memory that the process took so far."""
M_MMAP_THRESHOLD = -3
"""glibc's name for: blocks from this size on are mapped, and unmapped when freed."""


class Peak:
    """The most memory that is taken on a device from now on, beyond what is held now.

    On a CPU it is the process's, which Linux alone can tell since a moment.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self._before = device, math.nan
        if device.type == "cuda":
            torch.cuda.init()  # a peak cannot be reset before
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        elif CLEAR_REFS.exists():
            with suppress(OSError):  # a container may forbid it
                _call_glibc("malloc_trim", 0)
                CLEAR_REFS.write_text(FORGET_PEAK)
                self._before = _resident_peak()

    def bytes(self) -> float:
        """NaN where it cannot be told."""
        if math.isnan(self._before):
            return math.nan
        now = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else _resident_peak()
        return now - self._before


def return_freed_memory() -> None:
    """Makes glibc give freed blocks back to the system, which by default it keeps: a step that is to need little memory
    would otherwise hold twice as much. Costs time, hence for large networks only; does nothing without glibc."""
    _call_glibc("mallopt", M_MMAP_THRESHOLD, 1 << 16)


def _call_glibc(function: str, *arguments: int) -> None:
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), function):
        getattr(libc, function)(*arguments)


def _resident_peak() -> float:
    """The most memory of the process since the kernel was told to forget it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else math.nan
