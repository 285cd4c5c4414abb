from pathlib import Path

import pytest

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.results.durations import checkpoint_seconds, spoken


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


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-1", ""])
def test_a_time_between_saves_that_is_none_ends_before_anything_is_written(text, monkeypatch):
    monkeypatch.setenv("VGEXP_CHECKPOINT_SECONDS", text)
    checkpoint_seconds.cache_clear()
    try:
        with pytest.raises(ConfigError, match=f"VGEXP_CHECKPOINT_SECONDS: got '{text}', accepts a number of seconds"):
            vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=0")
    finally:
        checkpoint_seconds.cache_clear()
    assert not Path("results").exists()
