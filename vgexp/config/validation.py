"""Validation: every value of a run against the rule of its field."""

import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any

from vgexp.config.errors import ConfigError
from vgexp.config.fields import FIELDS, Run
from vgexp.config.rows import leaves
from vgexp.config.rules import LARGEST, SCHEDULE, Rule


def validate(run: Run, registered: Mapping[str, Collection[str]]) -> None:
    """Raises ConfigError on the first field whose value is not accepted.

    `registered` maps a field that chooses from a registry (`model.activation`) to the names there.
    """
    values = leaves(run)
    for key, known in FIELDS.items():
        value = values[key]
        if key in registered:
            _require_name(key, value, registered[key])
        elif known.rule.names:
            _require_name(key, value, known.rule.names)
        elif not _holds(known.rule, value):
            raise ConfigError(key, value, known.rule.words)
        if any(isinstance(x, float) and abs(x) > LARGEST for x in (value if isinstance(value, list) else [value])):
            raise ConfigError(key, value, f"{known.rule.words}, no larger than {LARGEST}")
        if known.rule is SCHEDULE and isinstance(value, list) and any(step > run.steps for step in value):
            raise ConfigError(key, value, f"steps up to {run.steps} (steps)")
    width = run.model.width
    if isinstance(width, list) and len(width) != run.model.depth:
        raise ConfigError("model.width", width, f"one integer for each of the {run.model.depth} layers (model.depth)")


def _require_name(key: str, value: Any, names: Collection[str]) -> None:
    if value in names:
        return
    close = difflib.get_close_matches(str(value), list(names), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise ConfigError(key, value, ", ".join(names) + hint)


def _holds(rule: Rule, value: Any) -> bool:
    try:
        return not (isinstance(value, float) and math.isnan(value)) and rule.holds(value)
    except (TypeError, OverflowError):  # a list where a number is due, or within a list of numbers; an endless integer
        return False
