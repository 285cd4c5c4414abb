import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.config.schedules import schedule, spelled


def steps_of(spec, steps):
    return [step for step in range(steps + 1) if schedule(spec, steps)(step)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("never", []), ("start", [0]), ("end", [9]), ("ends", [0, 9]), (3, [0, 3, 6, 9]), ([1, 4], [1, 4]), (100, [0, 9])],
)
def test_forms(spec, expected):
    assert steps_of(spec, 9) == expected


@given(st.integers(0, 3000), st.one_of(st.just("log"), st.integers(1, 50)))
def test_both_ends_are_always_observed(steps, spec):
    found = steps_of(spec, steps)
    assert found[0] == 0
    assert found[-1] == steps


@given(st.integers(10, 10**7))
def test_log_is_sparse(steps):
    due = schedule("log", steps)
    assert sum(map(due, range(1000))) <= 17


@pytest.mark.parametrize("spec", [0, -1, 1.5, "sometimes", [1.5], [-1], True, None])
def test_bad_forms(spec):
    with pytest.raises(ValueError, match="accepts never, start"):
        schedule(spec, 10)


def test_the_steps_of_an_integer_are_not_listed():
    """Which would take a day here."""
    assert spelled(1, 10**12, "log") == 1
    assert spelled(10**12, 10**12, "log") == "ends"
