import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vgexp.results.analysis import Estimate, conditions, estimate, fit, groups, profile, slope, verdict


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_estimate_is_students_interval(values):
    ours = estimate(values)
    spread = np.std(values, ddof=1) / math.sqrt(len(values))
    if spread > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread)
        assert (ours.low, ours.high) == pytest.approx((low, high))


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    estimates = [estimate(rng.normal(size=5)) for _ in range(4000)]
    assert np.mean([one.low <= 0 <= one.high for one in estimates]) == pytest.approx(0.95, abs=0.015)


def test_one_seed_has_no_interval():
    assert math.isnan(estimate([1.0]).low)


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=30))
def test_slope_of_one_seed_is_linregress(values):
    if np.ptp(values) < 1e-6:
        return  # a flat profile has no residual to regress
    ours = slope(np.array([values]))
    found = stats.linregress(np.arange(len(values)), values)
    assert ours.point == pytest.approx(found.slope, abs=1e-9)
    half = stats.t.ppf(0.975, len(values) - 2) * found.stderr
    assert ours.high - ours.point == pytest.approx(half, abs=1e-7)


@pytest.mark.parametrize(
    ("factor", "word"),
    [(0.1, "vanishing"), (10.0, "exploding"), (0.99, "healthy"), (1.05, "healthy"), (0.65, "borderline")],
)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e100])
def test_verdict_knows_the_factor_and_not_the_scale(factor, word, scale):
    layers = np.arange(1, 11)
    noise = np.random.default_rng(0).lognormal(sigma=0.02, size=(4, 10))
    found = fit(scale * noise * factor ** (10 - layers))
    assert found.verdict == word
    assert found.factor.point == pytest.approx(factor, rel=0.02)
    assert found.fall.point == pytest.approx(-9 * math.log10(factor), abs=0.1)
    assert found.half_depth == pytest.approx(abs(math.log(2) / math.log(factor)), rel=0.25)


def test_fewer_than_five_layers_and_one_seed_give_the_point_and_say_so():
    found = fit(np.array([[1e-6, 1e-3, 1.0]]))
    assert found.verdict == "vanishing"
    assert found.note == "1 seed, 3 layers: no interval"


def test_zero_and_nan():
    assert fit(np.array([[0.0, 0.0, 1.0]])).verdict == "dead"
    assert fit(np.array([[1.0, math.nan, 1.0]])).verdict == "not-a-number"


def test_a_wide_interval_is_borderline():
    assert verdict(Estimate(3.0, 1.0, 5.0, 3)) == "borderline"
    assert verdict(Estimate(0.0, -1.6, 1.6, 3)) == "borderline"


def table():
    return pd.DataFrame(
        {
            "run": ["a", "b", "c", "d"],
            "seed": [0, 1, 0, 1],
            "model.activation": "tanh",
            "model.depth": 5,
            "init.name": ["he", "he", "lecun", "lecun"],
            "init.sigma_w": [None, None, 0.5, 0.5],
            "probe.tier": ["full", "light", "full", "light"],
        }
    )


def test_groups_are_seeds_of_one_condition():
    assert conditions(table()) == ["init.name", "init.sigma_w"]
    found = groups(table())
    assert {name: list(runs["run"]) for name, runs in found.items()} == {
        "he": ["a", "b"],
        "lecun, sigma_w 0.5": ["c", "d"],
    }


def test_profile_is_in_the_order_asked_for():
    layers = pd.DataFrame({"run": ["a", "a", "b", "b"], "step": 0, "layer": [1, 2, 1, 2], "z_rms": [1.0, 2, 3, 4]})
    np.testing.assert_array_equal(profile(layers, ["b", "a"], "z_rms"), [[3, 4], [1, 2]])
