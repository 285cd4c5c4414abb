import math

import pytest

from vgexp.config import rules

CASES = {
    "COUNT": ([1, 7], [0, -1, 1.0, True, "1", None]),
    "NATURAL": ([0, 7], [-1, 0.0, False]),
    "SEED": ([0, 2**32 - 1], [-1, 2**32, 1.0, None, True]),
    "POSITIVE": ([1e-9, 3], [0, -1.0, math.inf]),
    "NOT_NEGATIVE": ([0, 0.5], [-1e-9, math.inf]),
    "FRACTION": ([0, 0.999], [1, -0.1]),
    "FINITE": ([-3.0, 0], [math.inf]),
    "BRANCH": ([0.1, 1, "1/sqrt(L)", "learned"], [True, False, math.nan, -math.inf, 1e39, "sqrt"]),
    "INTERVAL": ([[0.0, 1.0], [-1, 1]], [[1, 0], [0, 0], [0, 1, 2], [0.0, math.inf], [math.nan, 1.0]]),
    "WIDTH": ([5, [5, 6]], [0, [], [0], 5.0, "5"]),
    "SEGMENT": ([1, "sqrt", "revolve(3)"], [0, "revolve(0)", "revolve", "log"]),
    "SCHEDULE": (["never", "log", 3, [0, 4]], [0, "often", [-1], [1.5], None]),
    "STACK_SIZE": (["auto", 1], [0, "all"]),
    "NAME": (["tanh"], [1, None]),
    "NAMES": ([["a", "b"], []], [[1]]),
    "BOOLEAN": ([True], [1, None]),
    "GRIDS": ([{}], [[]]),
    "FOLDER": (["a", "a/b"], ["", "a//b", "../a"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_accepted(name):
    good, bad = CASES[name]
    rule = getattr(rules, name)
    assert all(rule.holds(value) for value in good)
    assert not any(rule.holds(value) for value in bad)
    assert rule.words


def test_null_and_names():
    assert rules.optional(rules.COUNT, "or null").holds(None) and not rules.optional(rules.COUNT, "or null").holds(0)
    assert rules.one_of("a", "b").names == ("a", "b") and not rules.one_of("a", "b").holds("c")


def test_snapshots():
    assert rules.revolve_snapshots("revolve(12)") == 12
    assert rules.revolve_snapshots("revolve(0)") is rules.revolve_snapshots(4) is None
