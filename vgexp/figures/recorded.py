"""Recorded: what there is of a sweep to be drawn, so that the figures of one that is still running show that.

A run may have begun and left no rows yet, have diverged, or have been observed at other steps than its neighbours.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vgexp.claims import Missing
from vgexp.config import counted
from vgexp.results import TABLES, Results, conditions

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
    for name, members in results.groups(besides).items():
        some = members if there.issuperset(members["run"]) else members[members["run"].isin(there)]
        if len(some):
            found[name] = some
    asked = len({*results.planned, *results.runs["run"]})
    lacking = asked - len(there)
    verb = "has" if lacking == 1 else "have"
    note = f" {lacking} of {counted(asked, 'run')} {verb} no {what}." if lacking else ""
    room = max(1, MARKS // marks) if marks else len(found)
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
    shown = list(results.groups().values())[:panels]
    firsts = [members.sort_values("seed")["run"][: LARGE // panels] for members in shown]
    some = results.select([run for runs in firsts for run in runs])
    return some, f" Of {len(results.runs)} runs {len(some.runs)} were looked at: the first seeds of the first groups."


def finite(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows with a finite number in one of these columns at least; in place of all others in them, NaN.

    Numbers that no axis can show count as infinite.
    """
    return _where(rows, columns, lambda numbers: abs(numbers) < LARGEST)


def positive(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows with a finite number above 0 in one of these columns at least; in place of all others in them, NaN."""
    return _where(rows, columns, lambda numbers: (numbers > 0) & (numbers < LARGEST))


def hidden(
    results: Results, *columns: str, steps: Collection[int] | None = None, table: str = "layers"
) -> pd.DataFrame:
    """The rows of the last matrix of the hidden layers, at all steps or some: all columns, or the key and these, and
    then nothing else is read."""
    asked = list(dict.fromkeys([*TABLES[table].key, *columns])) if columns else None
    return of_hidden(results, results.table(table, asked, steps=steps))


def of_hidden(results: Results, rows: pd.DataFrame) -> pd.DataFrame:
    """Those of some rows that are of the last matrix of a hidden layer."""
    rows = rows[rows["part"] == ""]
    depth = results.runs.set_index("run")["model.depth"].astype(float)
    deepest = depth.iloc[0] if depth.nunique() == 1 else rows["run"].map(depth).astype(float)
    return rows[rows["layer"].astype(float) <= deepest]


def _where(rows: pd.DataFrame, columns: Sequence[str], good: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
    """The rows with a good number in one of these columns at least; in place of all others in them, NaN."""
    numbers = {
        name: rows[name].to_numpy(dtype=float) if name in rows else np.full(len(rows), np.nan) for name in columns
    }
    are_good = {name: good(values) for name, values in numbers.items()}
    kept = np.any([*are_good.values()], axis=0)
    shown = {name: np.where(are_good[name], values, np.nan)[kept] for name, values in numbers.items()}
    return (rows if kept.all() else rows[kept]).assign(**shown)
