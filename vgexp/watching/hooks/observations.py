"""Observations: recorded steps of a watched model, each an array of numbers and the names of its rows.

Legend: R rows (calls), C columns.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vgexp.results import WATCHED
from vgexp.watching.hooks.calls import Call
from vgexp.watching.hooks.doubles import double
from vgexp.watching.hooks.recurrence import TimeProfile
from vgexp.watching.hooks.updates import Holdings

IDENTITY = WATCHED.key[1:] + WATCHED.columns
"""Columns that say what a row is of, after its step."""
NUMBERS = WATCHED.optional
PLACES = {column: i for i, column in enumerate(NUMBERS)}
GRADIENTS = ("dz_rms", "dz_norm", "dw_rms")
ROOTS_C = np.array([column.endswith("_rms") for column in NUMBERS])
"""Which columns are root mean squares; the others are means."""


class Observation:
    """One recorded step: a row for each call."""

    def __init__(
        self,
        step: int,
        calls: Sequence[Call],
        idle: Sequence[Call] = (),
        scale: float | Tensor = 1.0,
        divided: Collection[str] = (),
    ) -> None:
        """`idle` holds what is known of layers that did not run: they have no rows. Gradients are divided by `scale`,
        but not dW of the layers `divided`, where it was done before."""
        self.step, self.calls, self.idle = step, calls, idle
        self.gates: list[str] = []
        """Parameters that are 0 and have a gradient: what they multiply starts closed."""
        self.opened: list[str] = []
        """Layers whose weights were all 0 at an earlier recorded step, and have grown since the last one."""
        self.others = False
        """Whether gradients of another function were seen, and left out."""
        self.ungraded: list[str] = []
        """Parameters that required a gradient and got none; modules, where that is true of all that they have."""
        self.times: list[TimeProfile] = []
        """The gradient over the time steps of recurrent layers."""
        self.untimed: list[str] = []
        """Recurrent layers whose input requires no gradient."""
        self.holdings: Holdings | None = None
        """What optimizers do not update; None where none was given."""
        self.unmoved: dict[str, int] = {}
        """Layers whose weights have not changed since a recorded step, and that step."""
        self.leftover: list[str] = []
        """Layers to whose gradients of the step before this step's were added."""
        everything = [*calls, *idle]
        frozen = {call.layer: call.layer.frozen for call in everything}
        self.identities = tuple(
            [
                (row, call.layer.name, call.number, call.layer.kind, call.activation, frozen[call.layer])
                for row, call in enumerate(calls, 1)
            ]
        )
        totals: list[float | Tensor] = [math.nan] * (len(everything) * len(NUMBERS))
        counts = [0] * len(totals)
        for first, call in zip(range(0, len(totals), len(NUMBERS)), everything, strict=True):
            for column, total in call.totals.items():
                totals[first + PLACES[column]], counts[first + PLACES[column]] = total, call.counts[column]
        *known, scale = host([*totals, scale])
        self.scale = scale
        """What gradients were divided by."""
        totals_RC = np.array(known).reshape(-1, len(NUMBERS))
        counts_RC = np.array(counts, dtype=float).reshape(-1, len(NUMBERS))
        rows = zip(everything, counts_RC[:, NUMBERS.index("dw_rms")], strict=True)
        self.graded = {call.layer.name for call, count in rows if count or call.layer.tied}
        """Layers whose weights have a gradient, or are those of another."""
        self.frozen = {layer.name for layer, is_frozen in frozen.items() if is_frozen}
        self.measured_RC = counts_RC > 0
        with np.errstate(invalid="ignore"):  # nothing over nothing is not measured
            self.numbers_RC = totals_RC / np.where(ROOTS_C, np.sqrt(counts_RC), counts_RC)
        if scale != 1.0:
            still_R = np.array([call.layer.name not in divided for call in everything], dtype=bool)
            for column in GRADIENTS:
                rows_R = still_R if column == "dw_rms" else slice(None)
                self.numbers_RC[rows_R, PLACES[column]] /= scale

    def share(self, other: "Observation") -> None:
        """Most steps differ in their numbers only: keeps one copy of the rest."""
        if self.identities == other.identities:
            self.identities = other.identities

    def fill(self, name: str, values: Mapping[str, float | Tensor]) -> None:
        """Puts in a column what is known later, by layer, in the rows of first calls. What is not finite is missing."""
        by_name = dict(zip(values, host([*values.values()]), strict=True))
        column = NUMBERS.index(name)
        for row, (_, layer, *_) in enumerate(self.identities):
            value = by_name.pop(layer, math.nan)
            if math.isfinite(value):
                self.numbers_RC[row, column] = value

    def known(self, name: str) -> dict[str, float]:
        """What a column has, by layer."""
        column_R = self.column(name)[: len(self.identities)]
        return {identity[1]: x for identity, x in zip(self.identities, column_R.tolist(), strict=True) if x == x}

    def column(self, name: str) -> np.ndarray:
        """A column over all calls, then over the layers that did not run."""
        return self.numbers_RC[:, NUMBERS.index(name)]

    def rows(self) -> list[dict[str, Any]]:
        """One dict a call. `broken` names the columns that were measured and are not finite; what was not measured is
        NaN."""
        broken_RC = self.measured_RC & ~np.isfinite(self.numbers_RC)
        return [
            {"step": self.step}
            | dict(zip(IDENTITY, identity, strict=True))
            | dict(zip(NUMBERS, numbers_C.tolist(), strict=True))
            | {"broken": tuple(column for column, broken in zip(NUMBERS, broken_C, strict=True) if broken)}
            for identity, numbers_C, broken_C in zip(self.identities, self.numbers_RC, broken_RC, strict=False)
        ]


def table(observations: Sequence[Observation]) -> pd.DataFrame:
    """Observations as one table, a row for each step and call."""
    frame = pd.DataFrame(
        [(o.step, *identity) for o in observations for identity in o.identities], columns=["step", *IDENTITY]
    )
    numbers_RC = [o.numbers_RC[: len(o.identities)] for o in observations]
    frame[list(NUMBERS)] = np.concatenate([np.empty((0, len(NUMBERS))), *numbers_RC])
    return frame.astype(dict.fromkeys(("step", "layer", "call"), "int64") | {"frozen": "bool"})


def host(values: Sequence[float | Tensor]) -> list[float]:
    """Numbers from their devices, each of which is waited for once."""
    if set(map(type, values)) == {float}:
        return [*map(float, values)]
    numbers = [value if isinstance(value, float) else math.nan for value in values]
    there = [(i, value) for i, value in enumerate(values) if isinstance(value, Tensor)]
    for device in {value.device for _, value in there}:
        indices, tensors = zip(*((i, value) for i, value in there if value.device == device), strict=True)
        for i, number in zip(indices, torch.stack([double(value) for value in tensors]).tolist(), strict=True):
            numbers[i] = number
    return numbers
