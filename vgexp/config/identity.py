"""The identity of a run: a hash of the fields that differ from their default, the same for configs that mean the same.

A field that is added later leaves the identity of old runs as it was.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from vgexp.config.fields import FIELDS, Run
from vgexp.config.rows import flat
from vgexp.config.rules import BRANCH, SCHEDULE, WIDTH
from vgexp.config.schedules import spelled

RESULTS_VERSION = 1
"""Raised when a default or the mathematics of everything changes: results of before are then other runs."""


def canonical(run: Run, unread: Collection[str] = ()) -> dict[str, Any]:
    """The fields of the identity, each in one spelling.

    A number has the type of its field, a list of equal widths is one width, schedules of the same steps are one
    schedule, and what is `unread` by the things that the run is made of has its default.
    """
    defaults = flat(Run())
    found = {}
    for key, value in flat(run).items():
        known = FIELDS[key]
        if known.in_identity and key in unread:
            found[key] = defaults[key]
        elif known.in_identity and known.rule is SCHEDULE:
            found[key] = spelled(value, run.steps, defaults[key])
        elif known.rule is BRANCH and not isinstance(value, str):
            found[key] = float(value) + 0.0
        elif known.in_identity:
            found[key] = _number(_width(value) if known.rule is WIDTH else value, known.type)
    return found


def changes(run: Run, unread: Collection[str] = ()) -> dict[str, Any]:
    """The fields of the identity that differ from their default."""
    defaults = flat(Run())
    return {key: value for key, value in canonical(run, unread).items() if value != defaults[key]}


def digest(changes: Mapping[str, Any], versions: Mapping[str, int | str]) -> str:
    """12 hex digits: sha256 of RESULTS_VERSION and the changes in canonical JSON.

    `versions` are those of the things that the run is made of, with the source of what is not vgexp's own. The ones
    that are not 1 are hashed too.
    """
    raised = {key: version for key, version in versions.items() if version != 1}
    content = [RESULTS_VERSION, changes, raised] if raised else [RESULTS_VERSION, changes]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def _width(value: Any) -> Any:
    """The width that all layers have, or one a layer."""
    return value[0] if isinstance(value, list) and len(set(value)) == 1 else value


def _number(value: Any, kind: Any) -> Any:
    """1 and 1.0 are one number of a field, 0.0 and -0.0 as well."""
    if kind == list[float]:
        return [float(number) + 0.0 for number in value]
    if kind in (float, float | None) and value is not None:
        return float(value) + 0.0
    return value
