import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vgexp.results.estimates import estimate


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
