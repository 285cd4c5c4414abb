import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vgexp.results.estimates import Estimate
from vgexp.results.profiles import fit, fits, layer_array, slope, verdict


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
    assert fit(np.array([[1.0, math.nan, 1.0]])).verdict == "nan"


def test_a_wide_interval_is_borderline():
    assert verdict(Estimate(3.0, 1.0, 5.0, 3)) == "borderline"
    assert verdict(Estimate(0.0, -1.6, 1.6, 3)) == "borderline"


def test_layers_are_in_the_order_asked_for():
    layers = pd.DataFrame(
        {"run": ["a", "a", "b", "b"], "step": 0, "layer": [1, 2, 1, 2], "part": "", "z_rms": [1.0, 2, 3, 4]}
    )
    np.testing.assert_array_equal(layer_array(layers, ["b", "a"], "z_rms"), [[3, 4], [1, 2]])


def test_each_family_is_fitted_by_its_signal():
    runs = pd.DataFrame({"run": ["a", "b"], "model.family": ["plain", "residual"], "model.depth": 6, "seed": 0})
    layer = np.arange(1, 7)
    of_run = [
        pd.DataFrame({"run": run, "step": 0, "layer": layer, "part": "", "dz_rms": 0.5**-layer, "dx_rms": 0.9**-layer})
        for run in "ab"
    ]
    found = fits(runs, pd.concat(of_run), {"plain": "dz_rms", "residual": "dx_rms"}).set_index("networks")
    assert found["quantity"].to_dict() == {"plain": "dz_rms", "residual": "dx_rms"}
    assert found.loc["plain", "factor"].point == pytest.approx(0.5)
    assert found.loc["residual", "factor"].point == pytest.approx(0.9)
