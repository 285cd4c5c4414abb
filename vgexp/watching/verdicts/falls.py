"""The fall of a gradient: what it loses, in decades, on its way from the loss down through any network.

The signal of a call is the larger of ||dz||, over the whole batch, and of the norm of its sum over positions: where
weights are shared over the positions of an image or a sequence, it is the sum that reaches them. Calls at one depth
below the loss are one level, and their signals are added as squares: how a network is split into calls changes nothing.
The fall is that from the first level to the sources, the calls with none further from the loss, in the deeper half.

Legend: D levels, from the loss down.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from vgexp.results import VANISHED, Estimate, fall
from vgexp.watching.verdicts.evidence import Evidence, Row, normalised

BRANCH = 4.0
"""Decades lost in one branch, or over the calls of one layer, that count although the rest of the network is well: what
plain SGD never mended in the networks that were tried."""
FEWEST_CALLS = 5
"""A layer that is called at so many depths is taken for one that runs over time."""


class Level(NamedTuple):
    """The calls at one depth."""

    depth: int
    log10_signal: float
    rows: list[Row]

    @property
    def strongest(self) -> Row:
        """The call with the largest signal."""
        return max(self.rows, key=lambda row: row["dz_norm"])


class Cliff(NamedTuple):
    """Where a gradient is lost between two neighbours, and does not come back further down."""

    decades: float
    above: Row
    below: Row
    operations: list[str]
    """What autograd's graph has between them, as far as it can change a gradient's size."""


class Loss(NamedTuple):
    """What is lost on one way of several."""

    decades: float
    above: Row
    below: Row


class Fall(NamedTuple):
    """How the gradient changes over the depth of a network."""

    decades: Estimate
    """The fall; NaN where there are not two levels. Its interval, in a pure chain, decides nothing."""
    levels: list[Level]
    cliff: Cliff | None
    branch: Loss | None
    """One source that gets far less than the others."""
    time: Loss | None
    """A layer whose later calls get far more, or far less, than its earlier ones."""
    rise: Loss | None = None
    """The call at which the gradient is largest, if that is two decades above the first level or more."""

    @property
    def ends(self) -> tuple[Row, Row]:
        """The strongest call of the first level and of the last."""
        return self.levels[0].strongest, self.levels[-1].strongest


NOTHING = Fall(Estimate(math.nan, math.nan, math.nan, 1), [], None, None, None)
"""The fall where nothing is known."""


def fall_of(evidence: Evidence) -> Fall:
    """The fall of one recorded step, over the calls whose dz is a positive number."""
    rows = graded(evidence)
    by_depth: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_depth[int(row["depth"])].append(row)
    levels = [Level(depth, pooled(by_depth[depth]), by_depth[depth]) for depth in sorted(by_depth)]
    if len(levels) < 2:
        return NOTHING._replace(levels=levels, time=_through_time(rows))
    further = {number for row in evidence.rows for number in row["above"]}
    lower = [row for row in rows if 2 * row["depth"] >= levels[-1].depth and row["depth"] > levels[0].depth]
    sources = [row for row in lower if row["index"] not in further] or levels[-1].rows
    decades = levels[0].log10_signal - pooled(sources)
    cliff, rise = _cliff(levels), _rise(levels)
    estimate = Estimate(decades, math.nan, math.nan, 1)
    if cliff is None and all(len(level.rows) == 1 for level in levels):
        log10_D = np.array([level.log10_signal for level in levels])
        estimate = fall(log10_D[None, ::-1], chain=True)
    beside_sizes = levels[0].log10_signal - pooled(map(_beside_its_size, sources))
    if decades < -VANISHED and abs(beside_sizes) < VANISHED / 2:
        estimate = Estimate(beside_sizes, math.nan, math.nan, 1)
    return Fall(estimate, levels, cliff, _astray(levels[0], sources, rows), _through_time(rows), rise)


def _astray(top: Level, sources: Sequence[Row], rows: Sequence[Row]) -> Loss | None:
    """The source that gets least, if that is far less than arrives at the top and there are others. Calls of one layer
    are one source: its weights get the sum."""
    named = {source["name"] for source in sources if source["inputs"] != "none"}
    if not named or len({source["name"] for source in sources}) < 2:
        return None
    calls = [[row for row in rows if row["name"] == name] for name in named]
    layers = [Level(top.depth, pooled(own), own) for own in calls]
    weakest = min(layers, key=lambda layer: layer.log10_signal)
    lost = top.log10_signal - weakest.log10_signal
    return Loss(lost, top.strongest, weakest.strongest) if lost > BRANCH else None


def _beside_its_size(row: Row) -> Row:
    """A table in front of a norm that divides by the little that it puts out, with its signal times that: what a change
    does that is large beside the numbers that it changes."""
    small = row["inputs"] != "numbers" and normalised(row) and row["z_rms"] < 1
    return {**row, "dz_norm": row["dz_norm"] * row["z_rms"]} if small else row


def with_open_gates(evidence: Evidence) -> Evidence:
    """The same without what gates lose that started at 0 and are opening, in calls whose every way leads through one:
    with what is directly below a gate as large as what comes to the gate."""
    if not evidence.opened:
        return evidence
    rows = sorted(graded(evidence), key=lambda row: row["depth"])
    below: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if len(row["above"]) == 1:
            below[row["above"][0]].append(row)
    lost = {
        row["index"]: max(row["dz_norm"] / 10 ** pooled(below[row["index"]]), 1.0)
        for row in rows
        if row["name"] in evidence.opened and below[row["index"]]
    }
    factor: dict[int, float] = {}
    for row in rows:
        factor[row["index"]] = min((factor.get(i, 1.0) * lost.get(i, 1.0) for i in row["above"]), default=1.0)
    return evidence._replace(
        rows=[{**row, "dz_norm": row["dz_norm"] * factor.get(row["index"], 1.0)} for row in evidence.rows]
    )


def _rise(levels: Sequence[Level]) -> Loss | None:
    """Where the gradient is largest below the first level, if that is two decades or more above it. Tables are left
    out: what they put out is small, and the norm that often follows divides by its size, which does no harm."""
    below = [row for level in levels[1:] for row in level.rows if row["inputs"] == "numbers"]
    if not below:
        return None
    peak = max(below, key=lambda row: row["dz_norm"])
    grown = math.log10(peak["dz_norm"]) - levels[0].log10_signal
    return Loss(grown, levels[0].strongest, peak) if grown > VANISHED else None


def graded(evidence: Evidence) -> list[Row]:
    """The calls with a place below the loss and a gradient: where ||dz|| is a positive number."""
    return [row for row in evidence.rows if 0 < row["dz_norm"] < math.inf and row["depth"] >= 0 and not row["twin"]]


def pooled(rows: Iterable[Row]) -> float:
    """log10 of the root of the sum of squares of the calls' signals."""
    signals = np.array([row["dz_norm"] for row in rows])
    largest = signals.max()
    return math.log10(largest) + 0.5 * math.log10(np.square(signals / largest).sum())


def _cliff(levels: Sequence[Level]) -> Cliff | None:
    """The largest drop, of more than two decades, between neighbours of what arrives at a level or further down, less
    than what the loss gave. A dip that recovers is none, nor is a peak that comes down."""
    log10_D = np.array([level.log10_signal for level in levels])
    envelope_D = np.minimum(np.maximum.accumulate(log10_D[::-1])[::-1], log10_D[0])
    drops = envelope_D[:-1] - envelope_D[1:]
    i = int(np.argmax(drops))
    if drops[i] <= VANISHED:
        return None
    above, below = levels[i].strongest, levels[i + 1].strongest
    return Cliff(float(drops[i]), above, below, below["operations"])


def _through_time(rows: Sequence[Row]) -> Loss | None:
    """The layer, called at five depths or more, whose gradient changes most between its first call and its last."""
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_name[row["name"]].append(row)
    found: list[Loss] = []
    for calls in by_name.values():
        if len({row["depth"] for row in calls}) >= FEWEST_CALLS:
            above, below = min(calls, key=lambda row: row["depth"]), max(calls, key=lambda row: row["depth"])
            found.append(Loss(math.log10(above["dz_norm"] / below["dz_norm"]), above, below))
    worst = max(found, key=lambda loss: abs(loss.decades), default=None)
    return worst if worst is not None and abs(worst.decades) > BRANCH else None
