"""Rows: the config of a run as one flat dict with dotted keys, and back."""

import json
import math
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from vgexp.config.fields import FIELDS, Run

EXACT = 2**53
"""Below it every integer is a float too."""


def leaves(run: Run) -> dict[str, Any]:
    """Every value of the config by its dotted key."""
    return {key: attrgetter(key)(run) for key in FIELDS}


def flat(run: Run) -> dict[str, Any]:
    """The config of the run itself, without what belongs to its sweep.

    >>> flat(Run())["model.depth"]
    5
    """
    return {key: value for key, value in leaves(run).items() if not FIELDS[key].of_sweep}


def structure(run: Run) -> dict[str, Any]:
    """The fields that all members of a stack share; of some others whether there is a value."""
    found = flat(run)
    shared = {key: value for key, value in found.items() if not FIELDS[key].member}
    return shared | {key: found[key] is not None for key in found if FIELDS[key].none_apart}


def from_row(row: Mapping[str, Any]) -> Run:
    """The run of a row of the `runs` table: the inverse of `flat`, lists read back from JSON text.

    A field that the row lacks has its default: the table is older than the field. Columns that are no field are
    ignored. Names are taken as they are, whether or not anything is registered under them.
    """
    run = Run()
    for key, default in flat(run).items():
        path, _, name = key.rpartition(".")
        setattr(attrgetter(path)(run) if path else run, name, _typed(row.get(key), FIELDS[key].type, default))
    return run


def _typed(value: Any, kind: Any, default: Any) -> Any:
    """A cell of a table as its field has it. A column with gaps turns integers into floats, null into NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return default
    if kind in (str, str | None):
        return value
    if isinstance(value, str):
        return json.loads(value) if value.startswith("[") else value
    if kind in (float, float | None):
        return float(value)
    return int(value) if abs(value) < EXACT and value == int(value) else float(value)
