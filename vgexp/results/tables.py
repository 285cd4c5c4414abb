"""The tables of a results folder in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

import vgexp
from vgexp.results.columns import PROVENANCE, TABLES, TIMES

SHOWN = 10
"""Runs that a notebook shows of results."""


@dataclass(repr=False)
class Results:
    """The tables of one or more folders as DataFrames, joined by `run`."""

    runs: pd.DataFrame
    steps: pd.DataFrame
    layers: pd.DataFrame
    histograms: pd.DataFrame
    spectra: pd.DataFrame
    folders: list[Path]
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

    def __repr__(self) -> str:
        """The folders, and how many runs of them are done, in one line."""
        done = int((self.runs["status"] == "done").sum())
        return f"Results({', '.join(map(str, self.folders))}: {len(self.runs)} runs, {done} done)"

    def _repr_html_(self) -> str:
        """The same, and the first runs with what became of them, for notebooks."""
        shown = [name for name in ("run", "status", "diverged_at", *self._errors()) if name in self.runs]
        return f"<p>{escape(repr(self))}</p>{self.runs[shown].head(SHOWN).to_html(index=False)}"

    def _errors(self) -> list[str]:
        return [str(name) for name in self.runs if str(name).startswith("final_") and self.runs[name].notna().any()]

    def select(self, runs: Sequence[str]) -> "Results":
        """The same tables with these runs only."""
        kept = {name: table[table["run"].isin(list(runs))] for name, table in self.tables().items()}
        return Results(
            runs=kept["runs"],
            steps=kept["steps"],
            layers=kept["layers"],
            histograms=kept["histograms"],
            spectra=kept["spectra"],
            folders=self.folders,
            planned={run: self.planned[run] for run in runs if run in self.planned},
            commands=self.commands,
            damaged=self.damaged,
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
        return {name: getattr(self, name) for name in TABLES}

    def comparable(self) -> dict[str, pd.DataFrame]:
        """The tables sorted by key, without times and provenance: equal for equal experiments."""
        return {
            name: table.drop(columns=[c for c in (*TIMES, *PROVENANCE) if c in table]).sort_values(
                list(TABLES[name].key), ignore_index=True
            )
            for name, table in self.tables().items()
        }
