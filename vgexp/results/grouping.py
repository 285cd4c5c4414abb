"""Groups of runs that differ in their seed only, and what to call them."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vgexp.config import FIELDS, from_row

HOW = ("folder", "probe.", "eval.", "memory", "checkpoint.")
"""Columns that say where a run lies, how it was computed and watched, not what it is a run of."""
Condition = tuple[tuple[str, Any], ...]
"""Fields and their values."""


def conditions(runs: pd.DataFrame, besides: str = "") -> list[str]:
    """The config columns that differ between runs, `besides` one and the seed.

    Where runs lie, how they were computed and watched counts only where it sets apart runs of one seed that are else
    equal: those are no further seeds.
    """
    fields = [c for c in map(str, runs) if c == "folder" or (c in FIELDS and FIELDS[c].in_identity)]
    differ = [c for c in fields if c not in (besides, "seed") and len(set(map(str, runs[c].unique()))) > 1]
    found = [c for c in differ if not c.startswith(HOW)]
    for c in differ:
        if c.startswith(HOW):
            words = {other: runs[other].map(str).to_numpy() for other in (c, *found, besides, "seed") if other in runs}
            if (pd.Series(words.pop(c)).groupby(list(words.values())).nunique() > 1).any():
                found.append(c)
    return found


def in_words(condition: Sequence[tuple[str, Any]]) -> str:
    """A condition in words: the values, with the field's name where a value is a number."""
    words = [
        value if isinstance(value, str) and value[:1] != "[" else f"{key.split('.')[-1]} {short(value)}"
        for key, value in condition
        if not _is_nan(value)
    ]
    return ", ".join(words)


def in_full(condition: Condition) -> str:
    """A condition with the whole name of each field and all digits: no two have the same words."""
    return ", ".join(f"{key} {value}" for key, value in condition if not _is_nan(value))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def short(value: Any) -> str:
    """A value for a label: numbers without needless digits, also inside JSON lists."""
    if isinstance(value, str):
        return str([int(x) if x == int(x) else x for x in json.loads(value)])
    return f"{value:g}"


def rows_of(table: pd.DataFrame) -> Callable[[Sequence[str] | pd.Series], pd.DataFrame]:
    """What gives the rows of some runs, in their order in the table: it is searched once, however often one asks."""
    places = table.groupby("run", sort=False).indices if len(table) else {}
    nowhere = np.zeros(0, dtype=int)
    return lambda runs: table.iloc[np.sort(np.concatenate([nowhere, *(places.get(run, nowhere) for run in runs)]))]


def groups(runs: pd.DataFrame, besides: str = "") -> dict[str, pd.DataFrame]:
    """Runs that differ in their seed only (and `besides`), by a label that says what sets them apart: the fields that
    they read and in which others differ."""
    from vgexp.networks.identity import unread  # loads torch

    columns = conditions(runs, besides)
    if not columns:
        return {in_words([("model.activation", row) for row in runs["model.activation"].unique()]): runs}
    grouped = runs.groupby(columns, dropna=False, sort=True)
    firsts = np.unique(grouped.ngroup(), return_index=True)[1]
    configs = runs.iloc[firsts][[c for c in map(str, runs) if c in FIELDS]].to_dict("records")
    alike: dict[Condition, list[tuple[Condition, pd.DataFrame]]] = {}
    for (key, members), config in zip(grouped, configs, strict=True):
        idle = unread(from_row({str(name): value for name, value in config.items()})) - {"data.seed"}
        given = tuple(pair for pair in zip(columns, key, strict=True) if not _is_nan(pair[1]))
        alike.setdefault(tuple(pair for pair in given if pair[0] not in idle), []).append((given, members))
    found: list[tuple[Condition, pd.DataFrame]] = []
    for read, parts in alike.items():
        members = pd.concat([part for _, part in parts]).sort_index() if len(parts) > 1 else parts[0][1]
        again = len(parts) > 1 and members.duplicated(["seed", *([besides] if besides else [])]).any()
        found += parts if again else [(read, members)]  # one seed counts once
    labels = Counter(in_words(condition) for condition, _ in found)
    return {
        (in_words if labels[in_words(condition)] == 1 else in_full)(condition): members for condition, members in found
    }
