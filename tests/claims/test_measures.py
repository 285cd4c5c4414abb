import numpy as np
import pytest
import xarray as xr

from vgexp.claims.measures import (
    first_step,
    largest,
    log_slope,
    mass,
    mean_rise,
    over,
    rise,
    rms,
    since,
    smallest,
    spread,
    width,
)
from vgexp.claims.statements import Missing

X = xr.DataArray([[1.0, 2.0, 4.0], [9.0, 3.0, 1.0]], coords={"seed": [0, 2], "layer": [1, 2, 3]})


def test_over_the_layers():
    np.testing.assert_allclose(largest(X), [4, 9])
    np.testing.assert_allclose(smallest(X), [1, 1])
    np.testing.assert_allclose(rms(X), [np.sqrt(7), np.sqrt(91 / 3)])
    np.testing.assert_allclose(spread(X), [4, 9])
    np.testing.assert_allclose(width(X), [3, 8])
    np.testing.assert_allclose(over(X, 1, 3), [0.25, 9])
    np.testing.assert_allclose(rise(X), [[2, 2], [1 / 3, 1 / 3]])
    assert list(rise(X)["layer"].values) == [2, 3]
    np.testing.assert_allclose(mean_rise(X), [2, 1 / 3])
    np.testing.assert_allclose(log_slope(X), [np.log(2), -np.log(3)])


@pytest.mark.parametrize("reduced", [largest, smallest, rms, spread, width, mean_rise, log_slope])
def test_nan_is_not_passed_over(reduced):
    """One layer without a number must not leave the verdict to the others."""
    np.testing.assert_array_equal(np.isnan(reduced(X.where(X != 2))), [True, False])


def test_slopes_are_those_of_numpy():
    x = np.random.default_rng(0).lognormal(size=(4, 6))
    labelled = xr.DataArray(x, coords={"seed": range(4), "layer": range(1, 7)})
    expected = [np.polyfit(np.arange(1, 7), np.log(row), 1)[0] for row in x]
    np.testing.assert_allclose(log_slope(labelled), expected)


def test_over_training():
    x = xr.DataArray([[0.0, 3.0, 4.0], [0.0, 0.0, 0.0]], coords={"seed": [0, 1], "step": [0, 5, 10]})
    np.testing.assert_allclose(rms(since(x, 5), "step"), [np.sqrt(12.5), 0])
    assert list(since(x, 4)["step"].values) == [5, 10]
    with pytest.raises(Missing, match="no observation from step 11 on"):
        since(x, 11)
    np.testing.assert_array_equal(first_step(x > 2), [5, np.inf])


def test_mass_shares_bins_by_their_part_inside():
    # A uniform density on [-1, 1]: |x| in (0.5, 0.8] holds 0.3 of it.
    edges = np.linspace(-1, 1, 8)
    parts = {"density": np.full(7, 0.5), "left": edges[:-1], "right": edges[1:]}
    flat = xr.Dataset({name: ("bin", values) for name, values in parts.items()})
    assert mass(flat, 0.5, 0.8) == pytest.approx(0.3)
    assert mass(flat, 0, 0.3) + mass(flat, 0.3, 100) == pytest.approx(1)
    assert mass(flat, 0, np.inf) == pytest.approx(1)
