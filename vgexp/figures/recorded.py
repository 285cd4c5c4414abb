"""Recorded: what there is of a sweep to be drawn, so that the figures of one that is still running show that.

A run may have begun and left no rows yet, have diverged, or have been observed at other steps than its neighbours.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd

from vgexp.claims import Missing
from vgexp.results import TABLES, Results, conditions, groups

MARKS = 4000
"""Marks that a figure has at most: of more groups than it has room for, some are shown."""
LARGE = 1000
"""Runs whose rows at all steps are looked at for a figure with a panel a group."""
LARGEST = 1e250
"""A log axis with a margin around a larger number would overflow."""


class Recorded(NamedTuple):
    """The rows that a figure shows, and whose they are."""

    rows: pd.DataFrame
    groups: dict[str, pd.DataFrame]
    """Runs that have some of these rows, by what sets them apart among all runs of the sweep: a label stays what it is
    while the sweep goes on. Of more than a figure has room for, some, evenly spaced."""
    note: str
    """What a caption adds about the runs that have none; empty where all have."""
    fields: list[str]
    """The fields of the config that set the groups apart."""

    def described(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A frame with the fields that set its `group`s apart, a column each."""
        for field in self.fields:
            values = {name: members[field].iloc[0] for name, members in self.groups.items()}
            frame = frame.assign(**{field: frame["group"].map(values)})
        return frame


def recorded(results: Results, rows: pd.DataFrame, what: str, besides: str = "", marks: int = 0) -> Recorded:
    """The groups that rows of a table are of; `what` the rows are, in words; `marks`: those that a group has.

    Runs that were planned and have not begun count among those without. Raises Missing where there are no rows.
    """
    if rows.empty:
        raise Missing(f"no {what}")
    there = set(rows["run"].unique())
    found = {}
    for name, members in groups(results.runs, besides=besides).items():
        some = members if there.issuperset(members["run"]) else members[members["run"].isin(there)]
        if len(some):
            found[name] = some
    asked = len({*results.planned, *results.runs["run"]})
    lacking = asked - len(there)
    verb = "has" if lacking == 1 else "have"
    note = f" {lacking} of {asked} runs {verb} no {what}." if lacking else ""
    room = MARKS // marks if marks else len(found)
    if len(found) > room:
        note += f" Shown are {room} of {len(found)} groups, evenly spaced."
        places = np.linspace(0, len(found) - 1, room).round().astype(int)
        found = {name: found[name] for name in np.array(list(found), dtype=object)[places]}
    return Recorded(rows, found, note, conditions(results.runs, besides))


def overview(results: Results, panels: int) -> tuple[Results, str]:
    """The results, or of more than LARGE runs the first seeds of the first groups, one a panel; and what a caption adds
    of that."""
    if len(results.runs) <= LARGE:
        return results, ""
    shown = list(groups(results.runs).values())[:panels]
    firsts = [members.sort_values("seed")["run"][: LARGE // panels] for members in shown]
    some = results.select([run for runs in firsts for run in runs])
    return some, f" Of {len(results.runs)} runs {len(some.runs)} were looked at: the first seeds of the first groups."


def finite(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows with a finite number in one of these columns at least; in place of all others in them, NaN.

    Numbers that no axis can show count as infinite.
    """
    numbers = rows.reindex(columns=columns).astype(float)
    rows = rows.assign(**_columns(numbers.where(abs(numbers) < LARGEST)))
    return rows.dropna(subset=columns, how="all")


def positive(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows with a finite number above 0 in one of these columns at least; in place of all others in them, NaN."""
    rows = finite(rows, *columns)
    above = rows[[*columns]].where(rows[[*columns]] > 0)
    return rows.assign(**_columns(above)).dropna(subset=columns, how="all")


def hidden(
    results: Results, *columns: str, steps: Collection[int] | None = None, table: str = "layers"
) -> pd.DataFrame:
    """The rows of the last matrix of the hidden layers, at all steps or some: all columns, or the key and these, and
    then nothing else is read."""
    found = results.table(table, list(dict.fromkeys([*TABLES[table].key, *columns])) if columns else None, steps=steps)
    rows = found[found["part"] == ""]
    depth = results.runs.set_index("run")["model.depth"]
    return rows[rows["layer"].astype(float) <= rows["run"].map(depth).astype(float)]


def _columns(frame: pd.DataFrame) -> dict[str, pd.Series]:
    return {str(name): column for name, column in frame.items()}
