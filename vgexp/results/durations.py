"""Durations: as a person says them, and the one between two saves."""

import math
import os
from functools import cache

from vgexp.config import ConfigError


def spoken(seconds: float) -> str:
    """A duration in its two largest units.

    >>> spoken(7.4), spoken(100), spoken(3600 * 30)
    ('7 s', '1 min 40 s', '30 h')
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 and whole < 600 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 and whole < 36000 else "")


@cache
def checkpoint_seconds() -> float:
    """The longest time between two saves. Raises ConfigError where the environment says what is none."""
    name, default = "VGEXP_CHECKPOINT_SECONDS", "60"
    text = os.environ.get(name, default)
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ConfigError(name, text, f"a number of seconds of at least 0; without it, {default}")
    return found
