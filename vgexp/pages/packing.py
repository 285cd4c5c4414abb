"""Packing: numbers and facts as text that a page carries, for its scripts to unpack."""

import base64
import gzip
import json
from typing import Any

import numpy as np

DROPPED_BITS = 9
"""Of the 24 of a float32. What is left is right to 2^-15, four decimal digits, and compresses well."""
LARGEST = 3e38
"""Beyond, a float32 is infinite."""


class Numbers:
    """One array that all numbers of a page go into, where each series has a place: its offset and its length."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []
        self.count = 0

    def add(self, values: Any) -> list[int]:
        """The place of some values, however they are shaped, row by row."""
        values = np.asarray(values, dtype=np.float64).ravel()
        with np.errstate(invalid="ignore"):
            shown = np.where(abs(values) > LARGEST, np.sign(values) * np.inf, values)
        self._parts.append(shown.astype(np.float32))
        place = [self.count, len(values)]
        self.count += len(values)
        return place

    def packed(self) -> str:
        """All numbers, rounded: the upper bytes of each, first the second least significant of all, then the next."""
        numbers = np.concatenate([np.zeros(0, np.float32), *self._parts])
        bits = numbers.view(np.uint32)
        rounded = (bits + np.uint32(1 << (DROPPED_BITS - 1))) >> DROPPED_BITS << DROPPED_BITS
        upper = np.where(np.isfinite(numbers), rounded, bits).astype("<u4").view(np.uint8).reshape(-1, 4)[:, 1:]
        return packed(np.ascontiguousarray(upper.T).tobytes())


def packed(content: bytes) -> str:
    """Compressed, in base64."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def packed_json(content: Any) -> str:
    """A value in JSON, compressed. Raises ValueError for a number that is not finite: JSON has none."""
    return packed(json.dumps(content, allow_nan=False, separators=(",", ":")).encode())
