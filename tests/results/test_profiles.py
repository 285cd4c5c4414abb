import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from vgexp.results.estimates import Estimate
from vgexp.results.grouping import groups
from vgexp.results.profiles import fall, fit, fits, layer_array, verdict


@given(st.lists(st.floats(-3, 3), min_size=5, max_size=30))
def test_the_fall_of_one_chain_is_the_difference_of_its_ends_with_the_interval_of_its_increments(values):
    found = fall(np.array([values]), chain=True)
    assert found.point == pytest.approx(values[-1] - values[0], abs=1e-9)
    assert found.seeds == 1
    n, spread = len(values) - 1, stats.sem(np.diff(values))
    if spread > 1e-9:
        low, high = stats.t.interval(0.95, n - 1, (values[-1] - values[0]) / n, spread)
        assert (found.low, found.high) == (pytest.approx(n * low, abs=1e-9), pytest.approx(n * high, abs=1e-9))


def test_one_profile_has_an_interval_only_if_it_is_a_chain_of_five_layers_or_more():
    layers = np.array([[0.0, 1.0, 1.5, 3.0, 3.5]])
    assert not math.isnan(fall(layers, chain=True).low)
    assert math.isnan(fall(layers).low)
    assert math.isnan(fall(layers[:, :4], chain=True).low)


def gradients(seeds, layers, width, sigma, repeats, rectified=False):
    """log10 rms(dz) at layers 1..L, (R repeats, S seeds, L layers): vectors through random matrices from the top down,
    W ~ N(0, sigma^2 / width), half of the units off at random if `rectified`."""
    rng = np.random.default_rng([seeds, layers, int(10 * sigma)])
    dz = rng.normal(size=(repeats * seeds, width))
    profile = [np.log10(np.sqrt((dz**2).mean(1)))]
    for _ in range(layers - 1):
        jacobian = rng.normal(scale=sigma / math.sqrt(width), size=(repeats * seeds, width, width))
        if rectified:
            jacobian *= rng.integers(0, 2, size=(repeats * seeds, 1, width))
        dz = np.einsum("kij,kj->ki", jacobian, dz)
        profile.insert(0, np.log10(np.sqrt((dz**2).mean(1))))
    return np.stack(profile, 1).reshape(repeats, seeds, layers)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seeds", [1, 3, 5, 10])
def test_intervals_of_the_fall_cover_products_of_random_jacobians(seeds, sigma):
    """||W v||^2 / ||v||^2 is sigma^2 / N times a chi square of N degrees of freedom, whose logarithm has a mean in
    closed form: the fall of the ensemble is known."""
    layers, width = 9, 12
    mean_log = math.log(sigma**2 / width) + math.log(2) + special.digamma(width / 2)
    truth = -(layers - 1) * mean_log / 2 / math.log(10)
    found = [fall(one, chain=True) for one in gradients(seeds, layers, width, sigma, repeats=600 // seeds + 200)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.92
    assert np.mean([one.point for one in found]) == pytest.approx(truth, abs=0.05)


def test_an_interval_of_least_squares_from_one_profile_would_not_cover():
    """Why there is none: neighbouring layers of a random walk are not independent of each other."""
    layers, width = 20, 12
    truth = -(math.log(2 / width) + special.digamma(width / 2)) / 2 / math.log(10)
    lines = [stats.linregress(np.arange(layers), one[0]) for one in gradients(1, layers, width, 1.0, repeats=300)]
    half = stats.t.ppf(0.975, layers - 2)
    assert np.mean([abs(line.slope - truth) <= half * line.stderr for line in lines]) < 0.65


@pytest.mark.parametrize("seeds", [1, 3, 10])
def test_intervals_of_the_fall_cover_rectified_networks(seeds):
    many = gradients(1, 6, 16, math.sqrt(2), repeats=6000, rectified=True)[:, 0]
    truth = (many[:, -1] - many[:, 0]).mean()
    found = [fall(one, chain=True) for one in gradients(seeds, 6, 16, math.sqrt(2), 400, rectified=True)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.90


@pytest.mark.parametrize(
    ("factor", "word"),
    [(0.1, "vanishing"), (10.0, "exploding"), (0.99, "healthy"), (1.05, "healthy"), (0.65, "undecided")],
)
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e100])
def test_verdict_knows_the_factor_and_not_the_scale(factor, word, scale):
    layers = np.arange(1, 11)
    noise = np.random.default_rng(0).lognormal(sigma=0.02, size=(4, 10))
    found = fit(scale * noise * factor ** (10 - layers))
    assert found.verdict == word and found.note == ""
    assert found.factor.point == pytest.approx(factor, rel=0.02)
    assert found.factor.point == pytest.approx(10 ** (-found.fall.point / 9))
    assert found.fall.point == pytest.approx(-9 * math.log10(factor), abs=0.1)
    assert found.half_depth == pytest.approx(abs(math.log(2) / math.log(factor)), rel=0.25)


def test_a_dent_in_the_middle_is_no_fall():
    """The fall is the difference of the ends, not a slope."""
    found = fit(np.array([[1.0, 1e-4, 1.0, 1.0, 1.0, 1.0]]))
    assert (found.fall.point, found.verdict) == (0, "healthy")


@pytest.mark.parametrize(("seeds", "word"), [(1, "vanishing"), (2, "vanishing"), (3, "undecided"), (5, "undecided")])
def test_from_three_seeds_on_the_whole_interval_decides(seeds, word):
    assert verdict(Estimate(3.0, 1.0, 5.0, seeds)) == word
    assert verdict(Estimate(-3.0, -5.0, -1.0, seeds)) == word.replace("vanishing", "exploding")
    assert verdict(Estimate(0.0, -1.6, 1.6, seeds)) == ("healthy" if seeds < 3 else "undecided")


def test_fewer_than_three_seeds_give_the_point_and_say_so():
    one = np.array([1e-6, 1e-3, 1.0])
    for seeds, note in ((1, "1 seed: the point decides"), (2, "2 seeds: the point decides"), (3, "")):
        found = fit(np.stack([one * (1 + k) ** np.arange(3) for k in range(seeds)]))
        assert (found.verdict, found.note) == ("vanishing", note)


def test_wide_intervals_overflow_quietly():
    found = fit(np.array([[1e-300, 1.0], [1e300, 1.0]]))
    assert found.factor.high == math.inf and found.factor.low == 0


def test_zero_nan_and_one_layer():
    assert fit(np.array([[0.0, 0.0, 1.0]])).verdict == "dead"
    assert fit(np.array([[1.0, math.nan, 1.0]])).verdict == "nan"
    assert fit(np.array([[1.0, -1.0, 1.0]])).verdict == "nan"  # no size is negative: nothing but a damaged table has it
    assert fit(np.array([[1.0]]))[3:] == ("undecided", "one layer has no profile")


def test_layers_are_in_the_order_asked_for_and_runs_without_all_their_rows_left_out():
    layers = pd.DataFrame(
        {
            "run": ["a", "a", "a", "b", "b", "b", "c"],
            "step": 0,
            "layer": [1, 2, 3, 1, 2, 3, 1],
            "part": "",
            "z_rms": [1.0, 2, 9, 3, math.nan, 9, 5],
        }
    )
    np.testing.assert_array_equal(layer_array(layers, ["b", "c", "a"], "z_rms", depth=2), [[3, math.nan], [1, 2]])
    assert layer_array(layers, ["a"], "z_rms", depth=2, step=7).shape == (0, 2)
    assert layer_array(layers, ["a"], "dz_rms", depth=2).shape == (0, 2)


def sweep(*families, diverged_at=None):
    """Runs a, b, ... of depth 6, whose dz falls by a factor 2 a layer towards the input, dx by 0.9."""
    names = "abcdef"[: len(families)]
    runs = pd.DataFrame({"run": list(names), "model.family": families, "model.depth": 6, "seed": range(len(families))})
    runs["model.activation"] = "tanh"
    runs["diverged_at"] = pd.array(diverged_at or [None] * len(families), dtype="Int64")
    layer = np.arange(1, 7)
    of_run = [
        pd.DataFrame({"run": run, "step": 0, "layer": layer, "part": "", "dz_rms": 2.0**layer, "dx_rms": 0.9**-layer})
        for run in names
    ]
    return runs, pd.concat(of_run, ignore_index=True)


def test_each_family_is_fitted_by_its_signal_and_only_a_chain_has_an_interval_of_one_seed():
    signals = {"plain": "dz_rms", "residual": "dx_rms"}
    runs, layers = sweep("plain", "residual")
    found = fits(groups(runs), layers, signals, ["plain"]).set_index("networks")
    assert found["quantity"].to_dict() == signals
    assert found.loc["plain", "factor"].point == pytest.approx(0.5)
    assert found.loc["residual", "factor"].point == pytest.approx(0.9)
    assert not math.isnan(found.loc["plain", "fall"].low)
    assert math.isnan(found.loc["residual", "fall"].low)


def test_runs_that_had_diverged_say_so():
    signals = {"plain": "dz_rms"}
    runs, layers = sweep("plain", "plain", "plain", diverged_at=[None, 0, 5])
    (row,) = fits(groups(runs), layers, signals, ["plain"]).to_dict("records")
    assert (row["verdict"], row["note"]) == ("diverged", "1 of 3 runs")
    layers["dz_rms"] = math.nan
    assert fits(groups(runs), layers, signals, ["plain"])["verdict"].tolist() == ["diverged"]
    runs["diverged_at"] = pd.array([None] * 3, dtype="Int64")
    assert fits(groups(runs), layers, signals, ["plain"]).empty
