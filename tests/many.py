"""Many groups out of one run: what figures must be able to show."""

from itertools import product

import numpy as np
import pandas as pd


def many(results, **fields):
    """The first run of `results` once for each combination of the values of the fields (dots written as `__`), its
    gradients scaled so that none equals another."""
    first = results.runs.iloc[[0]]
    names = [name.replace("__", ".") for name in fields]
    copies = [dict(zip(names, values, strict=True)) for values in product(*fields.values())]
    ids = [f"{i:012x}" for i in range(len(copies))]
    kept = results.select([first["run"].item()])
    runs = pd.concat([first.assign(run=run, **copy) for run, copy in zip(ids, copies, strict=True)], ignore_index=True)
    made = kept.select([])
    made.runs = runs
    for name in ("steps", "layers", "histograms"):
        table = getattr(kept, name)
        scaled = [c for c in ("dz_rms", "dx_rms", "dw_rms", "update_ratio", "train_loss") if c in table]
        scales = np.geomspace(1, 100, len(ids))
        parts = [table.assign(run=run, **{c: table[c] * s for c in scaled}) for run, s in zip(ids, scales, strict=True)]
        setattr(made, name, pd.concat(parts, ignore_index=True))
    return made
