import math

import pytest
import torch
import torch.nn.functional as F
from scipy.integrate import quad

from vgexp.numerics.gaussian import gaussian_mean

Q = torch.tensor([1e-8, 0.01, 1.0, 7.0, 1e4, 1e8], dtype=torch.float64)


def agree(found, expected):
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=0)


def test_moments_of_a_normal_variable():
    agree(gaussian_mean(torch.ones_like, Q), torch.ones_like(Q))
    agree(gaussian_mean(torch.square, Q), Q)
    agree(gaussian_mean(lambda z: z**6, Q), 15 * Q**3)
    assert gaussian_mean(lambda z: z, Q).abs().max() < 1e-10


def test_relu():
    agree(gaussian_mean(torch.relu, Q), (Q / (2 * math.pi)).sqrt())
    agree(gaussian_mean(lambda z: torch.relu(z) ** 2, Q), Q / 2)


def test_the_square_of_erf():
    """E[erf(z)^2] = 2 / pi arcsin(2 q / (1 + 2 q)): Williams (1997), eq. 11."""
    agree(gaussian_mean(lambda z: torch.erf(z) ** 2, Q), 2 / math.pi * torch.asin(2 * Q / (1 + 2 * Q)))


def test_a_step_away_from_zero_needs_its_kink():
    """P(|z| < 1) = erf(1 / sqrt(2 q))."""

    def inside(z):
        return (z.abs() < 1).double()

    exact = torch.erf(1 / (2 * Q).sqrt())
    agree(gaussian_mean(inside, Q, kinks=(-1.0, 1.0)), exact)
    assert not torch.allclose(gaussian_mean(inside, Q), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("f", [torch.tanh, F.silu, F.elu])
@pytest.mark.parametrize("q", [0.5, 3.0])
def test_smooth_functions_against_adaptive_quadrature(f, q):
    def integrand(u):
        z = torch.tensor(math.sqrt(q) * u, dtype=torch.float64)
        return float(f(z) ** 2) * math.exp(-u * u / 2) / math.sqrt(2 * math.pi)

    exact = quad(integrand, -12, 0, epsabs=1e-13)[0] + quad(integrand, 0, 12, epsabs=1e-13)[0]
    found = gaussian_mean(lambda z: f(z) ** 2, torch.tensor([q], dtype=torch.float64))
    agree(found, torch.tensor([exact], dtype=torch.float64))
