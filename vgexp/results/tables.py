"""The tables of results folders: that of the runs in memory, the others read when they are asked for."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

import vgexp
from vgexp.config import ConfigError, counted
from vgexp.results.columns import PROVENANCE, TABLES, TIMES, lacking
from vgexp.results.grouping import groups

INITIAL = ("h_std", "dz_rms", "dx_rms", "dw_rms")
"""Columns of `layers` that are shown of networks at initialisation."""
SHOWN = 10
"""Runs that a notebook shows of results."""


class Source(Protocol):
    """Where the rows of a table come from, without that of the runs."""

    def table(
        self, name: str, columns: Sequence[str] | None, runs: Sequence[str], steps: Collection[int] | None
    ) -> pd.DataFrame:
        """The rows of these runs, of all or some steps, sorted by key; all columns or some, in this order."""
        ...


class Whole:
    """A table that is read whole when it is first asked for, and kept."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, results: "Results | None", owner: type | None = None) -> pd.DataFrame:
        if results is None:
            raise AttributeError(self._name)  # the field has no default
        if self._name not in results.kept:
            results.kept[self._name] = results.table(self._name)
        return results.kept[self._name]

    def __set__(self, results: "Results", table: pd.DataFrame | None) -> None:
        results.__dict__.setdefault("kept", {})
        if table is not None:
            results.kept[self._name] = table


@dataclass(repr=False)
class Results:
    """The tables of one or more folders as DataFrames, joined by `run`."""

    runs: pd.DataFrame
    steps: Whole = Whole()
    layers: Whole = Whole()
    histograms: Whole = Whole()
    spectra: Whole = Whole()
    folders: list[Path] = field(default_factory=list)
    planned: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Run id -> what differs from the defaults."""
    grids: dict[str, list[str]] = field(default_factory=dict)
    """Grid of an experiment -> its run ids."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Grid of an experiment -> why it could not be planned here."""
    commands: dict[str, list[str]] = field(default_factory=dict)
    """What was typed -> the ids of the runs that it asked for."""
    damaged: list[str] = field(default_factory=list)
    """Files that could not be read, each with the reason: they were skipped."""
    source: Source | None = None
    """Where tables come from that are None."""
    kept: dict[str, pd.DataFrame] = field(init=False)
    """The tables that were given, or read whole."""
    _groups: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict, init=False, compare=False)

    def __repr__(self) -> str:
        """The folders, and how many runs of them are done, in one line."""
        done = int((self.runs["status"] == "done").sum())
        return f"Results({', '.join(map(str, self.folders))}: {counted(len(self.runs), 'run')}, {done} done)"

    def _repr_html_(self) -> str:
        """The same, and the first runs with what became of them, for notebooks."""
        shown = [name for name in ("run", "status", "diverged_at", *self._errors()) if name in self.runs]
        return f"<p>{escape(repr(self))}</p>{self.runs[shown].head(SHOWN).to_html(index=False)}"

    def _errors(self) -> list[str]:
        return [str(name) for name in self.runs if str(name).startswith("final_") and self.runs[name].notna().any()]

    def table(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        runs: Collection[str] | None = None,
        steps: Collection[int] | None = None,
    ) -> pd.DataFrame:
        """Some columns of a table, in this order, of some runs and some steps, sorted by its key: no more is read.

        A column that no part of the table has reads as its default. Raises ConfigError for a table or column that is
        not known.
        """
        if name not in TABLES:
            raise ConfigError("table", name, ", ".join(TABLES))
        if isinstance(columns, str):
            raise ConfigError("columns", columns, "a list of names")
        wanted = None if runs is None else set(runs)
        if name == "runs" or name in self.kept or self.source is None:
            return _part(name, self.runs if name == "runs" else self.kept[name], columns, wanted, steps)
        ids = [run for run in self.runs["run"] if wanted is None or run in wanted]
        return self.source.table(name, columns, ids, steps)

    @cached_property
    def initial(self) -> pd.DataFrame:
        """The rows of `layers` at step 0 with the columns of INITIAL, which most figures and the page begin with: they
        are read once, and kept."""
        return self.table("layers", [*TABLES["layers"].key, *INITIAL], steps=[0])

    def groups(self, besides: str = "") -> dict[str, pd.DataFrame]:
        """The `groups` of the runs, found once; nothing changes them."""
        if besides not in self._groups:
            self._groups[besides] = groups(self.runs, besides)
        return self._groups[besides]

    def select(self, runs: Sequence[str]) -> "Results":
        """The same tables with these runs only."""
        kept = set(runs)
        return Results(
            _part("runs", self.runs, None, kept, None),
            *(None,) * 4,
            folders=self.folders,
            planned={run: self.planned[run] for run in runs if run in self.planned},
            grids={name: some for name, ids in self.grids.items() if (some := [run for run in ids if run in kept])},
            left_out=self.left_out,
            commands=self.commands,
            damaged=self.damaged,
            source=self,
        )

    def grid(self, name: str) -> "Results":
        """The runs of one grid of the experiment; none of them when the grid was not planned."""
        return self.select(self.grids.get(name, []))

    def plot(
        self,
        *,
        x: str | None = None,
        y: str | None = None,
        color: str | None = None,
        facet: str | None = None,
        step: int | None = None,
        only: Sequence[str] = (),
    ) -> "dict[str, vgexp.figures.Picture]":
        """The figures of these results, by name, with the choices of `vgexp.plot`; raises as it does."""
        # What draws lies above what is drawn: the name at the top loads it when it is first asked for.
        return vgexp.plot(self, x=x, y=y, color=color, facet=facet, step=step, only=only)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by their names, read whole."""
        return {name: getattr(self, name) for name in TABLES}

    def comparable(self) -> dict[str, pd.DataFrame]:
        """The tables sorted by key, without times and provenance: equal for equal experiments."""
        return {
            name: table.drop(columns=[c for c in (*TIMES, *PROVENANCE) if c in table]).sort_values(
                list(TABLES[name].key), ignore_index=True
            )
            for name, table in self.tables().items()
        }


def _part(
    name: str,
    frame: pd.DataFrame,
    columns: Sequence[str] | None,
    runs: Collection[str] | None,
    steps: Collection[int] | None,
) -> pd.DataFrame:
    """What is asked for of a table in memory."""
    if runs is not None:
        frame = frame[frame["run"].isin(list(runs))]
    if steps is not None:
        frame = frame[frame["step"].isin(list(steps))]
    return frame if columns is None else frame.assign(**lacking(name, columns, list(map(str, frame))))[[*columns]]
