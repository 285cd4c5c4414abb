import math

import mpmath
import pytest
import torch
import torch.nn.functional as F
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from vgexp.numerics.gaussian import gaussian_gap, gaussian_mean, gaussian_product

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


C = [-1.0, -0.9, -0.3, 0.0, 0.3, 0.9, 0.999, 1 - 1e-8, 1.0]


@pytest.mark.parametrize("c", C)
def test_products_of_two(c):
    """relu: Cho & Saul (2009); erf: Williams (1997); the steps of hardtanh's slope: the bivariate distribution."""
    q = 2.0
    relu = q * (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / (2 * math.pi)
    assert gaussian_product(torch.relu, q, c) == pytest.approx(relu, abs=1e-13)
    erf = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    assert gaussian_product(torch.erf, q, c) == pytest.approx(erf, abs=1e-13)
    assert gaussian_product(lambda z: z, q, c) == pytest.approx(q * c, abs=1e-13)
    if abs(c) < 0.999:
        inside = lambda z: (z.abs() < 1).double()
        edge = 1 / math.sqrt(q)
        cdf = multivariate_normal([0, 0], [[1, c], [c, 1]]).cdf
        exact = cdf([edge, edge], lower_limit=[-edge, -edge])
        assert gaussian_product(inside, q, c, kinks=(-1.0, 1.0)) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("gap", [1.0, 0.1, 1e-3, 1e-8, 1e-12])
def test_gaps_keep_their_digits(gap):
    mpmath.mp.dps = 50
    c = 1 - mpmath.mpf(gap)
    relu = 1 - 2 * (mpmath.sqrt(1 - c * c) + (mpmath.pi - mpmath.acos(c)) * c) / (2 * mpmath.pi)
    assert gaussian_gap(torch.relu, 2.0, gap) == pytest.approx(float(relu), rel=1e-10)
    erf = 2 / mpmath.pi * (mpmath.asin(mpmath.mpf(4) / 5) - mpmath.asin(4 * c / 5))
    assert gaussian_gap(torch.erf, 2.0, gap) == pytest.approx(float(erf), rel=1e-10)


@pytest.mark.parametrize("mean", [-3.0, 0.4, 50.0])
def test_a_mean_of_ones_own(mean):
    q, m = torch.tensor([0.5, 4.0], dtype=torch.float64), torch.full((2,), mean, dtype=torch.float64)
    agree(gaussian_mean(torch.square, q, mean_K=m), q + mean**2)
    root = q.sqrt()
    below = torch.special.ndtr(m / root)
    agree(gaussian_mean(lambda z: (z > 0).double(), q, mean_K=m), below)


def test_nothing_and_everything():
    """Lengths of 0, and those that overflowed."""
    q = torch.tensor([0.0, math.inf, math.nan], dtype=torch.float64)
    found = gaussian_mean(torch.square, q)
    assert found[:2].tolist() == [0, math.inf] and found[2].isnan()
    assert len(gaussian_mean(torch.square, q[:0])) == 0
