import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vgexp.results.estimates import estimate, exact, geometric_mean, median


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_estimate_is_students_interval(values):
    ours = estimate(values)
    spread = np.std(values, ddof=1) / math.sqrt(len(values))
    if spread > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), spread)
        assert (ours.low, ours.high) == pytest.approx((low, high))


def covered(estimator, samples, truth):
    """Fraction of the samples whose interval encloses the truth."""
    found = [estimator(sample) for sample in samples]
    return np.mean([one.low <= truth <= one.high for one in found])


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_cover_the_truth_as_often_as_they_say(seeds):
    rng = np.random.default_rng(seeds)
    normal = rng.normal(size=(3000, seeds))
    assert covered(estimate, normal, 0.0) == pytest.approx(0.95, abs=0.015)
    assert covered(geometric_mean, np.exp(normal), 1.0) == pytest.approx(0.95, abs=0.015)
    if seeds >= 5:
        assert covered(median, np.exp(normal), 1.0) == pytest.approx(1 - 2 * 0.5**seeds, abs=0.015)


def test_ratios_need_the_log_scale():
    """Ratios of two runs differ by factors: five of them with sigma 1 about 1 have the mean √e."""
    ratios = np.random.default_rng(0).lognormal(sigma=1, size=(3000, 5))
    assert covered(estimate, ratios, math.exp(0.5)) < 0.85
    assert covered(geometric_mean, ratios, 1.0) > 0.9


def test_geometric_mean_is_gmean():
    values = [0.3, 2.0, 7.0]
    assert geometric_mean(values).point == pytest.approx(stats.gmean(values))
    assert all(math.isnan(geometric_mean(bad).point) for bad in ([1.0, 0.0], [1.0, -1.0], [1.0, math.nan]))
    wide = geometric_mean([1e-300, 1e300])
    assert (wide.low, wide.high) == (0, math.inf)


def test_a_median_counts_what_is_never_reached():
    assert median([4.0, 1.0, math.inf, math.inf, 2.0]) == (4.0, 1.0, math.inf, 5)
    assert median([math.inf] * 5) == (math.inf, math.inf, math.inf, 5)
    assert math.isnan(median([1.0, 2.0, 3.0, 4.0]).low)
    assert math.isnan(median([1.0, 2.0, 3.0, 4.0, math.nan]).point)


def test_what_is_exact_needs_one_seed():
    assert exact([7.0]) == (7.0, 7.0, 7.0, 1)
    assert exact([7.0, 8.0, 7.0]) == (7.0, 7.0, 8.0, 3)


@pytest.mark.parametrize("estimator", [estimate, geometric_mean, median])
def test_one_seed_has_no_interval(estimator):
    found = estimator([1.0])
    assert (found.point, found.seeds) == (1.0, 1) and math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize("estimator", [estimate, geometric_mean, median, exact])
def test_numbers_that_are_none_are_no_estimate_and_no_warning(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for values in ([], [math.nan], [1.0, math.nan], [math.nan, math.inf]):
            assert math.isnan(estimator(values).point)
