"""Measures: from an experiment's tables to one number a seed, what a claim's parts are made of.

A selection names a grid and the config fields that pick runs in it; everything below reads the tables of those
runs, seeds in order, and raises Missing where there is nothing to read.

Legend: S seeds, T observations, L hidden layers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from vgexp.claims.statements import Measure, Missing
from vgexp.results import Results, profile, slopes

Profile = Callable[[Results], np.ndarray]
"""A quantity over the layers: an array (S, L)."""


class Track(NamedTuple):
    """A quantity over training."""

    steps_T: np.ndarray
    values_STL: np.ndarray


@dataclass(frozen=True)
class Selection:
    """Finished runs of one grid with the given config fields."""

    grid: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def runs(self, results: Results) -> pd.DataFrame:
        """Their rows, seeds in order. Raises Missing when there are none."""
        if self.grid in results.left_out:
            raise Missing(results.left_out[self.grid])
        if self.grid not in results.grids:
            raise Missing(f"the grid {self.grid} is not part of what was run here")
        runs = results.runs[results.runs["run"].isin(results.grids.get(self.grid, []))]
        for key, value in self.where.items():
            if key in runs:
                runs = runs[runs[key] == value]
        if "status" in runs:
            runs = runs[runs["status"] == "done"]
        if runs.empty:
            what = ", ".join(map(str, self.where.values()))
            raise Missing(f"no finished runs{' of ' + what if what else ''} in the grid {self.grid}")
        return runs.sort_values("seed")

    def ids(self, results: Results) -> list[str]:
        return list(self.runs(results)["run"])

    def at(self, column: str, step: int | None = 0) -> Profile:
        """A column of the layers table over the hidden layers at one step; None: the last."""

        def measured(results: Results) -> np.ndarray:
            runs = self.runs(results)
            last = int(runs["steps"].max()) if step is None else step
            return profile(results.layers, list(runs["run"]), column, last)[:, : _depth(runs)]

        return measured

    def track(self, column: str, results: Results) -> Track:
        """A column of the layers table over the hidden layers, at all observations."""
        runs = self.runs(results)
        rows = results.layers[results.layers["run"].isin(runs["run"]) & (results.layers["layer"] <= _depth(runs))]
        cube = rows.pivot(index=["run", "step"], columns="layer", values=column)
        steps = np.unique(rows["step"])
        full = pd.MultiIndex.from_product([runs["run"], steps])
        shape = (len(runs), len(steps), cube.shape[1])
        return Track(steps, cube.reindex(full).to_numpy(dtype=float).reshape(shape))

    def pooled(self, column: str, since: int) -> Profile:
        """Root mean square over the observations from a step on: one batch of ten is noisy."""

        def measured(results: Results) -> np.ndarray:
            steps_T, values_STL = self.track(column, results)
            if not (steps_T >= since).any():
                raise Missing(f"no observation from step {since} on")
            return np.sqrt((values_STL[:, steps_T >= since] ** 2).mean(1))

        return measured

    def curve(self, column: str, results: Results) -> tuple[np.ndarray, np.ndarray]:
        """A column of the steps table: steps (T,) and values (S, T)."""
        ids = self.ids(results)
        rows = results.steps[results.steps["run"].isin(ids)].dropna(subset=[column])
        table = rows.pivot(index="run", columns="step", values=column).reindex(ids)
        return table.columns.to_numpy(dtype=int), table.to_numpy(dtype=float)

    def final(self, column: str, last: int = 1) -> Measure:
        """Mean of a column of the steps table over its last values: between neighbours it jitters."""
        return lambda results: self.curve(column, results)[1][:, -last:].mean(1)

    def mass(self, low: float, high: float, layer: int) -> Measure:
        """Fraction of activations with low < |h| <= high in one layer at the last step, from its histogram."""

        def measured(results: Results) -> np.ndarray:
            runs = self.runs(results)
            rows = results.histograms
            rows = rows[(rows["quantity"] == "h") & (rows["layer"] == layer) & (rows["step"] == runs["steps"].max())]
            rows = rows.set_index("run").reindex(runs["run"])
            if rows["edges"].isna().any():
                raise Missing("no histograms at the last step")
            return np.array(
                [
                    _between(np.asarray(edges), np.asarray(density), low, high)
                    for edges, density in zip(rows["edges"], rows["density"], strict=True)
                ]
            )

        return measured

    def total(self, column: str) -> Measure:
        """A column of the runs table."""

        def measured(results: Results) -> np.ndarray:
            runs = self.runs(results)
            if column not in runs or runs[column].isna().any():
                raise Missing(f"no {column} in the grid {self.grid}")
            return runs[column].to_numpy(dtype=float)

        return measured

    def milliseconds(self, column: str) -> Measure:
        """Time of a pass, forward_ms or backward_ms summed over all layers: median over steps, the first aside."""

        def measured(results: Results) -> np.ndarray:
            ids = self.ids(results)
            rows = results.layers[results.layers["run"].isin(ids) & (results.layers["step"] > 0)]
            if column not in rows or rows.empty:
                raise Missing(f"no {column} in the grid {self.grid}")
            return rows.groupby(["run", "step"])[column].sum().groupby("run").median().reindex(ids).to_numpy()

        return measured

    def largest(self, column: str) -> Measure:
        """The largest value of a column of the layers table over all layers at step 0."""

        def measured(results: Results) -> np.ndarray:
            ids = self.ids(results)
            rows = results.layers[results.layers["run"].isin(ids) & (results.layers["step"] == 0)]
            return rows.groupby("run")[column].max().reindex(ids).to_numpy()

        return measured

    def spectrum_mean(self) -> Measure:
        """Mean singular value of dh^{l+1}/dh^l at step 0 over all layers."""

        def measured(results: Results) -> np.ndarray:
            ids = self.ids(results)
            spectra = results.spectra[results.spectra["run"].isin(ids) & (results.spectra["step"] == 0)]
            if spectra.empty:
                raise Missing(f"no spectra in the grid {self.grid}")
            means = spectra.assign(mean=[float(np.mean(values)) for values in spectra["singular_values"]])
            return means.groupby("run")["mean"].mean().reindex(ids).to_numpy()

        return measured


def each(measured: Profile, function: Callable[[np.ndarray], np.ndarray]) -> Measure:
    """One number a seed from a profile (S, L)."""
    return lambda results: function(measured(results))


def ratio(above: Measure, below: Measure) -> Measure:
    """Quotient of two measures, paired by seed."""
    return _paired(above, below, np.divide)


def difference(of: Measure, less: Measure) -> Measure:
    """Difference of two measures, paired by seed."""
    return _paired(of, less, np.subtract)


def added(one: Measure, other: Measure) -> Measure:
    """Sum of two measures, paired by seed."""
    return _paired(one, other, np.add)


def scaled(factor: float, measured: Measure) -> Measure:
    return lambda results: factor * np.asarray(measured(results))


def spread(x_SL: np.ndarray) -> np.ndarray:
    """Largest over smallest layer."""
    return x_SL.max(1) / x_SL.min(1)


def width(x_SL: np.ndarray) -> np.ndarray:
    """Largest less smallest layer."""
    return x_SL.max(1) - x_SL.min(1)


def top_over_bottom(x_SL: np.ndarray) -> np.ndarray:
    return x_SL[:, -1] / x_SL[:, 0]


def bottom_over_top(x_SL: np.ndarray) -> np.ndarray:
    return x_SL[:, 0] / x_SL[:, -1]


def layer(number: int) -> Callable[[np.ndarray], np.ndarray]:
    """One layer, counted from 1; negative from the top."""
    return lambda x_SL: x_SL[:, number - 1 if number > 0 else number]


def step_up(i: int) -> Callable[[np.ndarray], np.ndarray]:
    """Layer i + 1 over layer i."""
    return lambda x_SL: x_SL[:, i] / x_SL[:, i - 1]


def smallest_step(x_SL: np.ndarray) -> np.ndarray:
    """The smallest ratio of a layer to the one below: above 1 in a profile that rises everywhere."""
    return (x_SL[:, 1:] / x_SL[:, :-1]).min(1)


def mean_factor(x_SL: np.ndarray) -> np.ndarray:
    """Geometric mean of the ratio between neighbouring layers."""
    return top_over_bottom(x_SL) ** (1 / (x_SL.shape[1] - 1))


def log_slope(x_SL: np.ndarray) -> np.ndarray:
    """Least-squares slope of ln x over the layer index."""
    return slopes(np.log(x_SL))


def first_step(steps_T: np.ndarray, reached_ST: np.ndarray) -> np.ndarray:
    """The first step at which a condition is met, inf where it never is."""
    at = np.where(reached_ST.any(1), steps_T[reached_ST.argmax(1)], np.inf)
    return at.astype(float)


def _paired(one: Measure, other: Measure, operation: Any) -> Measure:
    def measured(results: Results) -> np.ndarray:
        a, b = np.asarray(one(results)), np.asarray(other(results))
        if len(a) != len(b):
            raise Missing(f"{len(a)} and {len(b)} seeds: they cannot be paired")
        return operation(a, b)

    return measured


def _depth(runs: pd.DataFrame) -> int:
    return int(runs["model.depth"].iloc[0])


def _between(edges: np.ndarray, density: np.ndarray, low: float, high: float) -> float:
    """Mass of a histogram where low < |x| <= high, each bin shared out by its part inside."""

    def inside(a: float, b: float) -> float:
        overlap = np.clip(np.minimum(edges[1:], b) - np.maximum(edges[:-1], a), 0, None)
        return float((density * overlap).sum())

    return inside(low, high) + inside(-high, -low)
