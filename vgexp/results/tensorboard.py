"""TensorBoard: scalars of a training or of a watched model as event files, beside the tables, which stay the record.

Needs the extra `tensorboard`.
"""

import importlib.util
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def installed() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


def export(folder: Path, table: "pd.DataFrame", key: str | None = None) -> int:
    """Writes the numbers of a table with a column `step` into an event file in `folder`, under `column`, or, with a
    `key`, under `column/key`. Returns how many; what is not a number is left out."""
    from torch.utils.tensorboard.writer import SummaryWriter

    numbers = [str(c) for c in table.select_dtypes("number") if c not in ("step", "layer", "call", key)]
    written = 0
    with SummaryWriter(str(folder)) as writer:
        for row in table.to_dict("records"):
            for column in numbers:
                value = float(row[column])
                if not math.isnan(value):
                    writer.add_scalar(tag(column, row, key), value, int(row["step"]))
                    written += 1
    return written


def export_runs(folder: Path, tables: "dict[str, pd.DataFrame]", since: int) -> None:
    """Adds the steps from `since` on of the tables of a stack: one log a run, layers as `dz_rms/layer02`."""
    for name, key in (("steps", None), ("layers", "layer")):
        if name in tables:
            table = tables[name]
            for run, rows in table[table["step"] >= since].groupby("run"):
                export(folder / str(run), rows, key)


def tag(column: str, row: dict[Any, Any], key: str | None) -> str:
    if key is None:
        return column
    label = f"layer{row[key]:02d}" if key == "layer" else str(row[key])
    return f"{column}/{label}" + (f"[{row['call']}]" if row.get("call") else "")
