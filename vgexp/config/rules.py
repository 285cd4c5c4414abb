"""Rules: which values a field accepts, as a function and in words."""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from vgexp.config.schedules import ACCEPTS, schedule

LARGEST = 1e38
"""The largest number of a field: float32 has no larger power of ten, and the squares that theory takes are finite."""


class Rule(NamedTuple):
    """What a field accepts. NaN is accepted by none."""

    holds: Callable[[Any], bool]
    words: str
    """What is accepted, as an error says it."""
    names: tuple[str, ...] = ()
    """What is accepted, where it is a few names."""


def one_of(*names: str) -> Rule:
    """One of a few names."""
    return Rule(lambda x: x in names, ", ".join(names), names)


def integer(low: int, high: int | None = None) -> Rule:
    """An integer that is not smaller than `low`, nor larger than `high`."""
    holds = lambda x: isinstance(x, int) and not isinstance(x, bool) and low <= x and (high is None or x <= high)
    return Rule(holds, f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}")


def capped(rule: Rule, high: int) -> Rule:
    """What a rule for integers accepts, up to `high`: more than anybody asks for, and few enough to be computed."""
    return Rule(lambda x: rule.holds(x) and x <= high, f"{rule.words}, at most {high}")


def optional(rule: Rule, words: str) -> Rule:
    """What a rule accepts, or null."""
    return Rule(lambda x: x is None or rule.holds(x), words)


def revolve_snapshots(every: Any) -> int | None:
    """The s of `revolve(s)`; None for another value of `checkpoint.every`.

    >>> revolve_snapshots("revolve(4)"), revolve_snapshots("sqrt")
    (4, None)
    """
    found = re.fullmatch(r"revolve\(([1-9][0-9]{0,17})\)", every) if isinstance(every, str) else None
    return int(found[1]) if found else None


def _is_schedule(x: Any) -> bool:
    try:
        schedule(x, 1)
    except ValueError:
        return False
    return True


MOST_LETTERS = 200
"""Bytes of the name of a folder: file systems have 255, and what lies beside it for a while has a longer name."""


def _is_part(x: str) -> bool:
    return x not in ("", ".", "..") and len(x.encode()) <= MOST_LETTERS


def _is_number(x: Any) -> bool:
    return not isinstance(x, bool) and math.isfinite(x)


def _is_width(x: Any) -> bool:
    return COUNT.holds(x) or (isinstance(x, list) and len(x) > 0 and all(map(COUNT.holds, x)))


NAME = Rule(lambda x: isinstance(x, str), "a name")
NAMES = Rule(lambda x: all(map(NAME.holds, x)), "a list of names")
BOOLEAN = Rule(lambda x: isinstance(x, bool), "true or false")
FOLDER = Rule(lambda x: x.isprintable() and all(map(_is_part, x.split("/"))), "a relative folder name")
COUNT, NATURAL = integer(1), integer(0)
STEPS = capped(NATURAL, 10**10)
MOST_THREADS = 1024
THREADS = capped(COUNT, MOST_THREADS)
SEED = integer(0, 2**32 - 1)
FINITE = Rule(math.isfinite, "a finite number")
POSITIVE = Rule(lambda x: 0 < x < math.inf, "a positive number")
NOT_NEGATIVE = Rule(lambda x: 0 <= x < math.inf, "a number of at least 0")
FRACTION = Rule(lambda x: 0 <= x < 1, "a number in [0, 1)")
BRANCH = Rule(
    lambda x: x in ("1/sqrt(L)", "learned") if isinstance(x, str) else _is_number(x) and abs(x) <= LARGEST,
    "a finite number, 1/sqrt(L), or learned",
)
INTERVAL = Rule(lambda x: len(x) == 2 and -math.inf < x[0] < x[1] < math.inf, "two increasing numbers: [0,1] or [-1,1]")
SCHEDULE = Rule(_is_schedule, ACCEPTS)
WIDTH = Rule(_is_width, "an integer of at least 1, or a list of such")
SEGMENT = Rule(
    lambda x: COUNT.holds(x) or x == "sqrt" or revolve_snapshots(x) is not None,
    "an integer of at least 1, sqrt, or revolve(s) with s snapshots",
)
GRIDS = Rule(lambda x: isinstance(x, dict), "grids by scale")
STACK_SIZE = Rule(lambda x: x == "auto" or COUNT.holds(x), "auto, or an integer of at least 1")
