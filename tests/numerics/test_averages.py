import math

import pytest
import torch

from vgexp.networks.activations import ACTIVATIONS
from vgexp.numerics.averages import averages, tabulated
from vgexp.numerics.gaussian import gaussian_mean

Q_K = torch.logspace(-11, 8, 401, dtype=torch.float64)
"""Between the places of the table."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_table_is_the_quadrature_to_five_digits(name):
    phi = ACTIVATIONS[name]
    exact, quick = averages(phi), tabulated(phi)
    rms = gaussian_mean(lambda z: phi.phi(z) ** 2, Q_K, phi.kinks).sqrt()
    assert ((quick.mean(Q_K) - exact.mean(Q_K)).abs() < 1e-5 * rms).all()
    torch.testing.assert_close(quick.square(Q_K), rms**2, rtol=1e-5, atol=0)
    slope = gaussian_mean(lambda z: phi.slope(z) ** 2, Q_K, phi.kinks)
    torch.testing.assert_close(quick.square_slope(Q_K), slope, rtol=1e-5, atol=0)


def test_powers_go_on_beyond_the_table():
    relu = tabulated(ACTIVATIONS["relu"])
    q_K = torch.tensor([1e-200, 1e-13, 3.0, 1e20], dtype=torch.float64)
    torch.testing.assert_close(relu.square(q_K), q_K / 2, rtol=1e-9, atol=0)
    torch.testing.assert_close(relu.mean(q_K), (q_K / (2 * math.pi)).sqrt(), rtol=1e-9, atol=0)
    torch.testing.assert_close(relu.square_slope(q_K), torch.full_like(q_K, 0.5), rtol=1e-9, atol=0)


def test_no_length_and_none_that_is_a_number():
    q_K = torch.tensor([0.0, math.nan], dtype=torch.float64)
    zero, unknown = tabulated(ACTIVATIONS["tanh"]).square(q_K)
    assert zero < 1e-299 and unknown.isnan()
    slope, unknown = tabulated(ACTIVATIONS["tanh"]).square_slope(q_K)
    assert slope == pytest.approx(1) and unknown.isnan()
