"""Scalars: the numbers of tables as loggers take them, each with a name and a step.

What is not a number is left out.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("step", "layer", "call")
"""Columns of numbers that say what a row is of."""


class Scalar(NamedTuple):
    """One number of a table."""

    step: int
    name: str
    value: float


def scalars(table: "pd.DataFrame", key: str | None = None) -> list[Scalar]:
    """The numbers of a table with a column `step`, under `column`, or, with a `key`, under `column/key`."""
    columns = [str(c) for c in table.select_dtypes("number") if c not in (*KEYS, key)]
    return [
        Scalar(int(row["step"]), f"{column}/{place}" if (place := _place(row, key)) else column, float(row[column]))
        for row in table.to_dict("records")
        for column in columns
        if not math.isnan(row[column])
    ]


def by_run(tables: "Mapping[str, pd.DataFrame]") -> Iterator[tuple[str, list[Scalar]]]:
    """Each run of the tables `steps` and `layers` with its numbers, in the order of the steps: `train_loss`,
    `dz_rms/layer02`, `dz_rms/layer02.gate`."""
    found: dict[str, list[Scalar]] = {}
    for name, key in (("steps", None), ("layers", "layer")):
        if name in tables:
            for run, rows in tables[name].groupby("run"):
                found.setdefault(str(run), []).extend(scalars(rows, key))
    for run, several in found.items():
        yield run, sorted(several, key=lambda scalar: scalar.step)


def _place(row: dict[Any, Any], key: str | None) -> str:
    """What a row is of, after its step."""
    if key is None:
        return ""
    place = f"layer{row[key]:02d}" if key == "layer" else str(row[key])
    place += f".{row['part']}" if row.get("part") else ""
    return place + (f"[{row['call']}]" if row.get("call") else "")
