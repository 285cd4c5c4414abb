import pytest

from vgexp.results.durations import spoken


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (610, "10 min"),
        (3599.9, "1 h"),
        (3661, "1 h 1 min"),
        (86400, "24 h"),
    ],
)
def test_two_units_at_most(seconds, words):
    assert spoken(seconds) == words
