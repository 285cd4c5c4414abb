"""Profiles: what a quantity over the layers says in numbers.

log10 rms(dz) is fitted against the layer by least squares. Its slope gives the `factor` per layer (below 1 the gradient
vanishes towards the input), the half-depth and the `fall`, the decades lost between the last and the first hidden
layer.

Legend: S seeds (or runs), L layers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from vgexp.results.estimates import LEVEL, Estimate, estimate
from vgexp.results.grouping import groups

VANISHED = 2.0
"""Decades: a whole interval beyond this is vanishing (or, negative, exploding)."""
HEALTHY = 1.5
FEWEST_LAYERS = 5
"""With fewer layers and one seed a regression has no interval worth the name."""


class Fit(NamedTuple):
    """A gradient profile in numbers."""

    factor: Estimate
    """rms(dz) at a layer over the layer above it."""
    fall: Estimate
    """Decades lost from output to input, positive when the signal shrinks."""
    half_depth: float
    """Layers for a factor 2 either way; inf for a flat profile."""
    verdict: str
    note: str = ""


def slopes(log10_SL: np.ndarray) -> np.ndarray:
    """Least-squares slope over the layers, one a seed (S seeds, L layers)."""
    layer = np.arange(log10_SL.shape[1]) - (log10_SL.shape[1] - 1) / 2
    return (log10_SL * layer).sum(1) / (layer**2).sum()


def slope(log10_SL: np.ndarray) -> Estimate:
    """The slope over seeds; with one seed, and layers enough, with the regression's own interval."""
    by_seed = slopes(log10_SL)
    layers = log10_SL.shape[1]
    if len(by_seed) > 1 or layers < FEWEST_LAYERS:
        return estimate(by_seed)
    layer = np.arange(layers) - (layers - 1) / 2
    residual = log10_SL[0] - log10_SL[0].mean() - by_seed[0] * layer
    half = stats.t.ppf(0.5 + LEVEL / 2, layers - 2) * math.sqrt((residual**2).sum() / (layers - 2) / (layer**2).sum())
    return Estimate(float(by_seed[0]), float(by_seed[0] - half), float(by_seed[0] + half), 1)


def fit(dz_SL: np.ndarray) -> Fit:
    """Factor, fall, half-depth and verdict of the rms(dz) of S seeds at hidden layers 1..L."""
    dz_SL = np.asarray(dz_SL, dtype=float)
    layers, seeds = dz_SL.shape[1], dz_SL.shape[0]
    nothing = Estimate(math.nan, math.nan, math.nan, seeds)
    if not np.isfinite(dz_SL).all():
        first = int(np.nonzero(~np.isfinite(dz_SL).all(0))[0].max()) + 1
        return Fit(nothing, nothing, math.nan, "nan", f"uppermost at layer {first}")
    if (dz_SL == 0).any():
        first = int(np.nonzero((dz_SL == 0).any(0))[0].max()) + 1
        return Fit(nothing, nothing, math.nan, "dead", f"dz is exactly 0 up to layer {first}")
    if layers < 2:
        return Fit(nothing, nothing, math.nan, "undefined", "one layer has no profile")
    rise = slope(np.log10(dz_SL))
    fall = rise.map(lambda s: s * (layers - 1))
    flat = rise.point == 0
    note = "" if not math.isnan(fall.low) else f"{seeds} seed, {layers} layers: no interval"
    half_depth = math.inf if flat else math.log10(2) / abs(rise.point)
    return Fit(rise.map(lambda s: 10**-s), fall, half_depth, verdict(fall), note)


def verdict(fall: Estimate) -> str:
    """One word for a fall: its whole interval counts.

    >>> verdict(Estimate(3.0, 2.5, 3.5, 5)), verdict(Estimate(0.2, 0.1, 0.3, 5))
    ('vanishing', 'healthy')
    """
    low = fall.point if math.isnan(fall.low) else fall.low
    high = fall.point if math.isnan(fall.high) else fall.high
    if low > VANISHED:
        return "vanishing"
    if high < -VANISHED:
        return "exploding"
    return "healthy" if low >= -HEALTHY and high <= HEALTHY else "borderline"


def layer_array(layers: pd.DataFrame, runs: Sequence[str], column: str, step: int = 0) -> np.ndarray:
    """One quantity at one step as an array (S runs, L layers), in the order of `runs`; NaN where missing. Of a layer
    with several parts it is that of the last matrix."""
    at_step = layers[layers["step"] == step]
    at_step = at_step[at_step["part"] == ""]
    return at_step.pivot(index="run", columns="layer", values=column).reindex(list(runs)).to_numpy(dtype=float)


def by_depth(runs: pd.DataFrame) -> list[tuple[int, pd.DataFrame]]:
    """Runs apart by depth: profiles of different depths are different arrays."""
    depths = sorted({int(depth) for depth in runs["model.depth"].to_numpy()})
    return [(depth, runs[runs["model.depth"] == depth]) for depth in depths]


def fits(runs: pd.DataFrame, layers: pd.DataFrame, signals: Mapping[str, str], step: int = 0) -> pd.DataFrame:
    """One row a group of runs: the fit of its gradient over the hidden layers, as the page shows it.

    `signals`: the column that is fitted, dz_rms or dx_rms, by model.family.
    """
    rows = []
    for name, members in groups(runs, besides="model.depth").items():
        for depth, same_depth in by_depth(members):
            quantity = signals[same_depth["model.family"].iloc[0]]
            values_SL = layer_array(layers, list(same_depth["run"]), quantity, step)
            if values_SL.shape[1] == 0 or np.isnan(values_SL).all():
                continue
            found = fit(values_SL[:, :depth])
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
