"""Profiles: what a gradient over the layers says in numbers.

Its `fall` is what it loses between the ends of the chain, in decades: log10 rms(dz) at the top layer less that at the
bottom one, positive where it shrinks towards the input. The `factor` per layer is the fall's share a layer,
10^(-fall / (L - 1)): below 1 the gradient vanishes.

Legend: S seeds (or runs), L layers.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vgexp.config import counted
from vgexp.results.estimates import Estimate, estimate

VANISHED = 2.0
"""Decades: a fall beyond this is vanishing (or, negative, exploding)."""
HEALTHY = 1.5
DECIDING_SEEDS = 3
"""With fewer the interval is not there or many decades wide, and the point decides."""
FEWEST_LAYERS = 5
"""A chain with fewer layers has too few increments for an interval."""


class Fit(NamedTuple):
    """A gradient profile in numbers."""

    factor: Estimate
    """The gradient at a layer over that at the layer above it."""
    fall: Estimate
    """Decades lost from output to input, positive when the signal shrinks."""
    half_depth: float
    """Layers for a factor 2 either way; inf for a flat profile."""
    verdict: str
    note: str = ""


def fall(log10_SL: np.ndarray, chain: bool = False) -> Estimate:
    """The fall of log10 rms(dz) over seeds, with Student's t interval on one fall a seed.

    One profile has an interval if it is that of a pure `chain` of five layers or more: there log10 rms(dz) is a random
    walk over the layers, and its increments have a t interval, which is multiplied by their number. It says what other
    seeds may do, and decides nothing.
    """
    seeds, layers = log10_SL.shape
    if seeds == 1 and chain and layers >= FEWEST_LAYERS:
        return estimate(np.diff(log10_SL[0])).map(lambda increment: increment * (layers - 1))._replace(seeds=1)
    return estimate(log10_SL[:, -1] - log10_SL[:, 0])


def fit(signal_SL: np.ndarray, chain: bool = False) -> Fit:
    """Factor, fall, half-depth and verdict of the rms of dz (or dx) of S seeds at hidden layers 1..L.

    `chain`: whether the gradient passes from layer to layer alone, without skips.
    """
    signal_SL = np.asarray(signal_SL, dtype=float)
    seeds, layers = signal_SL.shape
    nothing = Estimate(math.nan, math.nan, math.nan, seeds)
    sizes_SL = np.isfinite(signal_SL) & (signal_SL >= 0)
    if not sizes_SL.all():
        first = int(np.nonzero(~sizes_SL.all(0))[0].max()) + 1
        return Fit(nothing, nothing, math.nan, "nan", f"uppermost at layer {first}")
    if (signal_SL == 0).any():
        first = int(np.nonzero((signal_SL == 0).any(0))[0].max()) + 1
        return Fit(nothing, nothing, math.nan, "dead", f"the gradient is exactly 0 up to layer {first}")
    if layers < 2:
        return Fit(nothing, nothing, math.nan, "undecided", "one layer has no profile")
    found = fall(np.log10(signal_SL), chain)
    share = found.map(lambda decades: decades / (layers - 1))
    half_depth = math.log10(2) / abs(share.point) if share.point else math.inf
    note = "" if seeds >= DECIDING_SEEDS else f"{counted(seeds, 'seed')}: the point decides"
    with np.errstate(over="ignore", under="ignore"):
        factor = share.map(lambda decades: float(np.float64(10) ** -decades))
    return Fit(factor, found, half_depth, verdict(found), note)


def verdict(fall: Estimate) -> str:
    """One word for a fall: its whole interval counts; with fewer than three seeds its point.

    >>> verdict(Estimate(3.0, 2.5, 3.5, 5)), verdict(Estimate(3.0, 1.0, 5.0, 5)), verdict(Estimate(3.0, 1.0, 5.0, 1))
    ('vanishing', 'undecided', 'vanishing')
    """
    low, high = (fall.low, fall.high) if fall.seeds >= DECIDING_SEEDS else (fall.point, fall.point)
    if low > VANISHED:
        return "vanishing"
    if high < -VANISHED:
        return "exploding"
    return "healthy" if low >= -HEALTHY and high <= HEALTHY else "undecided"


class LayerArrays:
    """The quantities at one step as arrays; their rows are searched once, however often one asks."""

    def __init__(self, layers: pd.DataFrame, step: int = 0) -> None:
        rows = layers[(layers["step"] == step) & (layers["part"] == "")]
        run, ids = pd.factorize(rows["run"])
        self._rows, self._place = rows, dict(zip(ids, range(len(ids)), strict=True))
        self._at = run, rows["layer"].to_numpy(dtype=int) - 1
        self._shape = len(ids), int(self._at[1].max(initial=-1)) + 1
        self._there = np.zeros(self._shape, dtype=bool)
        self._there[self._at] = True
        self._values: dict[str, np.ndarray] = {}

    def __call__(self, runs: Iterable[str], column: str, depth: int) -> np.ndarray:
        """One quantity (S runs, L hidden layers), in the order of `runs`, of which those are left out that have no row
        for some layer. Of a layer with several parts it is that of the last matrix."""
        places = np.array([self._place[run] for run in runs if run in self._place], dtype=int)
        if column not in self._rows or depth > self._shape[1]:
            return np.empty((0, depth))
        if column not in self._values:
            self._values[column] = np.full(self._shape, np.nan)
            self._values[column][self._at] = self._rows[column].to_numpy(dtype=float)
        return self._values[column][places[self._there[places, :depth].all(1)], :depth]


def layer_array(layers: pd.DataFrame, runs: Sequence[str], column: str, depth: int, step: int = 0) -> np.ndarray:
    """What `LayerArrays` gives, where one asks once."""
    return LayerArrays(layers, step)(runs, column, depth)


def by_depth(runs: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """Runs apart by depth: profiles of different depths are different arrays."""
    depths = sorted({int(depth) for depth in runs["model.depth"].to_numpy()})
    if len(depths) == 1:
        return [(depths[0], runs)]
    return [(depth, runs[runs["model.depth"] == depth]) for depth in depths]


def fits(
    named: Mapping[str, pd.DataFrame],
    layers: pd.DataFrame,
    signals: Mapping[str, str],
    chains: Collection[str],
    step: int = 0,
) -> pd.DataFrame:
    """One row a group of runs and depth: the fit of its gradient over the hidden layers, as the page shows it.

    `named`: the groups, besides their depth, by name. `signals`: the column that is fitted, dz_rms or dx_rms, by
    model.family. `chains`: the families without skips. A group with runs that had diverged by this step has that
    verdict.
    """
    rows, arrays = [], LayerArrays(layers, step)
    for name, members in named.items():
        for depth, same_depth in by_depth(members):
            family = same_depth["model.family"].iloc[0]
            quantity = signals[family]
            values_SL = arrays(same_depth["run"], quantity, depth)
            diverged = int((same_depth["diverged_at"] <= step).sum())
            if not len(values_SL) or (np.isnan(values_SL).all() and not diverged):
                continue
            found = fit(values_SL, family in chains)
            if diverged:
                found = found._replace(verdict="diverged", note=f"{diverged} of {counted(len(same_depth), 'run')}")
            rows.append(
                {
                    "networks": name,
                    "depth": depth,
                    "quantity": quantity,
                    "factor": found.factor,
                    "half_depth": found.half_depth,
                    "fall": found.fall,
                    "seeds": found.fall.seeds,
                    "verdict": found.verdict,
                    "note": found.note,
                }
            )
    return pd.DataFrame(rows)
