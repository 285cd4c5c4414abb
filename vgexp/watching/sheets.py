"""Sheets: the numbers of one recorded step, fetched from their devices at once; made into rows when asked for."""

import math
from array import array
from collections.abc import Sequence
from statistics import fmean
from typing import Any, TypeAlias

import torch
from torch import Tensor

HEAD = ("layer", "name", "call", "module", "activation", "frozen")
NUMBERS = ("z_rms", "h_mean", "h_std", "saturation", "dead", "dz_rms", "dw_rms", "w_rms")
NOWHERE = -1
"""The row of what belongs to no call."""


Part: TypeAlias = tuple[int, str, Sequence[float | Tensor], int]
"""One number of one row, perhaps still on its device: row, column, values, and how many entries they span. The number
is a root mean square, the values its norms; or, where they span no entries, their mean."""


class Sheet:
    """One recorded step, as compact as it comes."""

    def __init__(
        self,
        step: int,
        heads: tuple[tuple[Any, ...], ...],
        parts: Sequence[Part],
        scale: Sequence[float | Tensor] = (),
        scaled: Sequence[str] = (),
    ) -> None:
        """`heads` has a tuple of HEAD for each row; numbers of the columns `scaled` are divided by `scale`, if any."""
        self.step, self.heads, self.scaled = step, heads, scaled
        self.shape = tuple([(row, column, len(values), entries) for row, column, values, entries in parts])
        numbers = host([*scale, *(value for _, _, values, _ in parts for value in values)])
        self.scale, self.values = numbers[0] if scale else 1.0, array("d", numbers[len(scale) :])

    def share(self, other: "Sheet") -> None:
        """Most steps differ in their values only: keeps one copy of the rest."""
        if self.heads == other.heads:
            self.heads = other.heads
        if self.shape == other.shape:
            self.shape = other.shape

    def numbers(self) -> list[tuple[int, str, float]]:
        """Row, column and number of each part; NaN for a part without values."""
        found, at = [], 0
        for row, column, count, entries in self.shape:
            values = self.values[at : at + count]
            at += count
            number = math.hypot(*values) / math.sqrt(entries) if entries and count else fmean(values or [math.nan])
            found.append((row, column, number / self.scale if column in self.scaled else number))
        return found

    def column(self, name: str) -> list[float]:
        """The numbers of a column, in the order in which its parts came."""
        return [number for _, column, number in self.numbers() if column == name]

    def rows(self) -> list[dict[str, Any]]:
        """One dict a row. `broken` names the columns that were measured and are not finite; NaN elsewhere is: not
        measured."""
        rows: list[dict[str, Any]] = [
            {"step": self.step, **dict(zip(HEAD, head, strict=True)), **dict.fromkeys(NUMBERS, math.nan), "broken": ()}
            for head in self.heads
        ]
        for (row, column, number), (_, _, count, _) in zip(self.numbers(), self.shape, strict=True):
            if row != NOWHERE and count:
                rows[row][column] = number
                if not math.isfinite(number):
                    rows[row]["broken"] += (column,)
        return rows


def host(values: Sequence[float | Tensor]) -> list[float]:
    """Numbers from their devices, each of which is waited for once."""
    if set(map(type, values)) == {float}:
        return [*map(float, values)]
    numbers = [value if isinstance(value, float) else math.nan for value in values]
    there = [(i, value) for i, value in enumerate(values) if isinstance(value, Tensor)]
    for device in {value.device for _, value in there}:
        indices, tensors = zip(*((i, value) for i, value in there if value.device == device), strict=True)
        for i, number in zip(indices, torch.stack([value.double() for value in tensors]).tolist(), strict=True):
            numbers[i] = number
    return numbers
