"""The identity of a run: a hash of what differs from the defaults, the same for everything that means the same.

A field that is added later leaves the identity of old runs as it was.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from vgexp.config.fields import FIELDS, Run
from vgexp.config.rows import flat
from vgexp.config.rules import SCHEDULE, WIDTH
from vgexp.config.schedules import spelled

RESULTS_VERSION = 1
"""Raised when a default or the mathematics of everything changes: results of before are then other runs."""


def canonical(run: Run, unread: Collection[str] = ()) -> dict[str, Any]:
    """The fields of the identity, each in one spelling: numbers of one type, a width where all layers have it, a
    schedule by its shortest word, and the default where the value is not read (`unread`) by what the run is made of."""
    default = flat(Run())
    found = {}
    for key, value in flat(run).items():
        if not FIELDS[key].in_identity:
            continue
        if key in unread:
            value = default[key]
        elif FIELDS[key].rule is SCHEDULE:
            value = spelled(value, run.steps, default[key])
        elif FIELDS[key].rule is WIDTH and isinstance(value, list) and len(set(value)) == 1:
            value = value[0]
        found[key] = _of_type(value, default[key])
    return found


def changes(run: Run, unread: Collection[str] = ()) -> dict[str, Any]:
    """The fields of the identity that differ from their default."""
    default = canonical(Run())
    return {key: value for key, value in canonical(run, unread).items() if value != default[key]}


def digest(changes: Mapping[str, Any], versions: Mapping[str, int]) -> str:
    """12 hex digits: sha256 over the canonical JSON of the changes, RESULTS_VERSION, and the versions of what the run
    is made of, as far as they are not 1."""
    raised = {key: version for key, version in versions.items() if version != 1}
    content = [RESULTS_VERSION, changes, raised] if raised else [RESULTS_VERSION, changes]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def _of_type(value: Any, default: Any) -> Any:
    """1 and 1.0, 0.0 and -0.0 are one number each: of the default's type, of a float where that is null."""
    if isinstance(value, list):
        return [_of_type(item, default[0] if isinstance(default, list) else 0) for item in value]
    if (isinstance(default, float) or default is None) and isinstance(value, int | float):
        return float(value) + 0.0
    return value
