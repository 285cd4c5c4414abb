"""Groups of runs that differ in their seed only, and what to call them."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd


def conditions(runs: pd.DataFrame, besides: str = "") -> list[str]:
    """The config columns that differ between runs, `besides` one, the seed and how they were watched."""
    kinds = ("model.", "init.", "optim.", "data.")
    config = [c for c in map(str, runs) if c.startswith(kinds) or c in ("steps", "loss", "dtype", "folder")]
    return [c for c in config if c != besides and runs[c].map(str).nunique() > 1]


def in_words(condition: Sequence[tuple[str, Any]]) -> str:
    """A condition in words: the values, with the field's name where a value is a number."""
    words = [
        value if isinstance(value, str) and value[:1] != "[" else f"{key.split('.')[-1]} {short(value)}"
        for key, value in condition
        if not (isinstance(value, float) and math.isnan(value))
    ]
    return ", ".join(words)


def short(value: Any) -> str:
    """A value for a label: numbers without needless digits, also inside JSON lists."""
    if isinstance(value, str):
        return str([int(x) if x == int(x) else x for x in json.loads(value)])
    return f"{value:g}"


def groups(runs: pd.DataFrame, besides: str = "") -> dict[str, pd.DataFrame]:
    """Runs that differ in their seed only (and `besides`), by a label that says what sets them apart."""
    columns = conditions(runs, besides)
    if not columns:
        return {in_words([("model.activation", row) for row in runs["model.activation"].unique()]): runs}
    grouped = runs.groupby(columns, dropna=False, sort=True)
    found: dict[str, pd.DataFrame] = {}
    for key, members in grouped:
        found[in_words(list(zip(columns, key, strict=True)))] = members
    return found
