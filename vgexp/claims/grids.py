"""Grids: the runs of an experiment that a claim reads, their tables as labelled arrays.

Arithmetic between two of these arrays, numpy's functions among it (`np.maximum`), pairs the seeds that both have; all
other labels must be equal. xarray's own functions do so where they are told `join="inner"`.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr
from xarray.indexes import PandasIndex

from vgexp.claims.statements import Missing
from vgexp.config import FIELDS, from_row
from vgexp.networks.identity import unread
from vgexp.results import COLUMNS, CONFIG, Results, stored


@dataclass(frozen=True)
class Grid:
    """The finished runs of one grid of an experiment that have the given values of config fields.

    Its methods raise Missing where there is nothing to read, KeyError for a column or part that does not exist, and,
    `table` apart, ValueError for runs that differ in more than their seed. NaN and runs that differ in the steps they
    recorded raise Missing unless `gaps` are wanted, as NaN. Steps at which no run has the column are left out.
    Raises ValueError for what is no config field.
    """

    name: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.where:
            if key not in CONFIG:
                raise ValueError(f"{key} is no config field: {_nearest(key, CONFIG)}")

    def table(self, results: Results) -> pd.DataFrame:
        """Their rows of the runs table, seeds in order."""
        if self.name in results.left_out:
            raise Missing(results.left_out[self.name])
        if self.name not in results.grids:
            raise Missing(f"the grid {self.name} is not part of what was run here")
        runs = results.runs[results.runs["run"].isin(results.grids[self.name])]
        runs = runs[runs["status"] == "done"]
        for key, value in self.where.items():
            runs = runs[runs[key].isna() if value is None else runs[key] == stored({key: value})[key]]
        if runs.empty:
            what = ", ".join(map(str, self.where.values()))
            raise Missing(f"no finished runs{' of ' + what if what else ''} in the grid {self.name}")
        return runs.sort_values("seed")

    def runs(self, results: Results, column: str) -> xr.DataArray:
        """A column of the runs table over seed."""
        return self._labelled(self._rows(results, results.runs), column)

    def steps(self, results: Results, column: str, gaps: bool = False) -> xr.DataArray:
        """A column of the steps table over seed and step."""
        return self._labelled(self._rows(results, results.steps), column, "step", gaps=gaps)

    def layers(
        self, results: Results, column: str, part: str = "", readout: bool = False, gaps: bool = False
    ) -> xr.DataArray:
        """A column of the layers table over seed, step and layer: the hidden ones, and the readout if wanted."""
        rows = self._rows(results, results.layers, part)
        if not readout:
            rows = rows[rows["layer"] <= self.table(results)["model.depth"].iloc[0]]
        return self._labelled(rows, column, "step", "layer", gaps=gaps)

    def histograms(self, results: Results, quantity: str, part: str = "") -> xr.Dataset:
        """The `density` of h, dz or dw between `left` and `right`, over seed, step, layer and bin."""
        rows = self._rows(results, results.histograms, part)
        rows = rows[rows["quantity"] == quantity]
        density, edges = (self._labelled(rows, column, "step", "layer", "bin") for column in ("density", "edges"))
        bins = slice(density.sizes["bin"])
        left, right = edges.isel(bin=bins), edges.shift(bin=-1).isel(bin=bins)
        return xr.Dataset({"density": density, "left": left, "right": right})

    def spectra(self, results: Results) -> xr.DataArray:
        """The singular values of dx(l) / dx(l-1) at one example, l = 2..depth, over seed, step, layer and rank."""
        return self._labelled(self._rows(results, results.spectra), "singular_values", "step", "layer", "rank")

    def _rows(self, results: Results, table: pd.DataFrame, part: str = "") -> pd.DataFrame:
        """The rows of a table that belong to these runs, and to one part of each layer, each with its seed."""
        runs = self.table(results)
        for key, known in FIELDS.items():
            values = runs[key].unique() if known.in_identity and key != "seed" else ()
            if len(values) > 1 and any(
                key not in unread(from_row({str(name): value for name, value in row.items()}))
                for row in runs.to_dict("records")
            ):
                found = ", ".join(map(str, values))
                raise ValueError(f"the grid {self.name} has runs of several {key} ({found}): say which in `where`")
        rows = table[table["run"].isin(runs["run"])]
        if "part" in rows and not rows.empty:
            if part not in set(rows["part"]):
                found = ", ".join(map(repr, sorted(set(rows["part"]))))
                raise KeyError(f"{part!r} is no part of these layers, which have {found}")
            rows = rows[rows["part"] == part]
        return rows.assign(seed=rows["run"].map(runs.set_index("run")["seed"]))

    def _labelled(self, rows: pd.DataFrame, column: str, *dims: str, gaps: bool = False) -> xr.DataArray:
        """A column of lists has a third dim, along which their entries get labels from 0 on."""
        if rows.empty or (column not in rows and column in COLUMNS):
            raise Missing(f"no {column} in the grid {self.name}")
        if column not in rows:
            raise KeyError(f"{column} is no column of this table: {_nearest(column, map(str, rows))}")
        if dims[2:]:
            rows = rows.explode(column)
            rows[dims[2]] = rows.groupby(level=0).cumcount()
        labels = ["seed", *dims]
        if rows.duplicated(labels).any():
            raise Missing(f"several runs of one seed in the grid {self.name}")
        array = rows.set_index(labels)[column].astype(float).to_xarray().sortby(labels)
        if "step" in dims:
            array = array.dropna("step", how="all")
        holes = np.argwhere(array.isnull().to_numpy())
        if len(holes) == array.size:
            raise Missing(f"no {column} in the grid {self.name}")
        if len(holes) and not gaps:
            first = ", ".join(f"{label} {array[label][i].item()}" for label, i in zip(labels, holes[0], strict=True))
            raise Missing(f"{column} of the grid {self.name} is missing or not a number at {first}")
        for label in labels:
            array = array.drop_indexes(label).set_xindex(label, _Labels)
        return array


class _Labels(PandasIndex):
    """How arithmetic aligns two arrays: the seeds that both have, all other labels exactly."""

    def join(self, other: Any, how: str = "inner") -> Self:
        if self.dim != "seed":
            raise ValueError(f"{self.dim}: {list(self.index)} and {list(other.index)} are not the same labels")
        paired = super().join(other, how)
        if paired.index.empty:
            raise Missing(f"no seed in common: {list(self.index)} and {list(other.index)}")
        return paired


def _nearest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0)
    return f"the nearest is {found[0]}"
