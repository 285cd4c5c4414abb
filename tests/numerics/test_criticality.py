import math

import pytest
import torch
from scipy.optimize import brentq

from vgexp.networks.activations import ACTIVATIONS
from vgexp.numerics.criticality import critical_sigma_w, doubly_critical, mean_square, mean_square_slope

LINES = {
    "tanh": (1.18919, 1.42421, 1.76095, 1.98607, 2.50513),
    "erf": (0.93258, 1.11428, 1.37584, 1.55212, 1.96307),
    "lecun_tanh": (0.87354, 1.00738, 1.19623, 1.32092, 1.60467),
}
"""sigma_w^2 at sigma_b^2 of .001, .01, .05, .1, .3, computed once by Gauss-Hermite quadrature and fixed points."""


@pytest.mark.parametrize("name", LINES)
def test_critical_lines(name):
    for sigma_b2, sigma_w2 in zip((0.001, 0.01, 0.05, 0.1, 0.3), LINES[name], strict=True):
        assert critical_sigma_w(ACTIVATIONS[name], math.sqrt(sigma_b2)) ** 2 == pytest.approx(sigma_w2, abs=2e-5)


@pytest.mark.parametrize(
    ("name", "sigma_b", "sigma_w2"),
    [
        ("relu", 0.0, 2.0),  # He et al. (2015)
        ("relu", 1.0, 2.0),
        ("identity", 0.0, 1.0),
        ("tanh", 0.0, 1.0),
        ("erf", 0.0, math.pi / 4),
        ("hardtanh", 0.0, 1.0),
        ("tanh", math.sqrt(0.05), 1.76095),  # Schoenholz et al. (2017)
        ("gelu", math.sqrt(0.172923), 1.983058),  # Roberts, Yaida & Hanin (2022)
        ("selu", 0.0, None),
    ],
)
def test_the_critical_scale(name, sigma_b, sigma_w2):
    phi = ACTIVATIONS[name]
    found = critical_sigma_w(phi, sigma_b)
    if sigma_w2 is not None:
        assert found**2 == pytest.approx(sigma_w2, abs=1e-5)
    if name == "gelu":  # its fixed point attracts from one side only, and iterating towards it takes forever
        return
    q = torch.ones(1, dtype=torch.float64)
    for _ in range(1000):  # the fixed point, by iteration
        q = found**2 * mean_square(phi, q) + sigma_b**2
    chi = found**2 * float(mean_square_slope(phi, q))
    assert chi == pytest.approx(1.0, abs=4e-3)


@pytest.mark.parametrize("name", ["gelu", "silu", "mish", "softplus"])
def test_where_there_is_no_critical_scale(name):
    assert critical_sigma_w(ACTIVATIONS[name]) is None


@pytest.mark.parametrize(("name", "sigma_b2"), [("gelu", 0.05), ("silu", 0.25)])
def test_a_scale_is_not_critical_where_lengths_leave_it(name, sigma_b2):
    """chi_1 is 1 at a fixed point from which lengths fall to another, or grow without bound."""
    assert critical_sigma_w(ACTIVATIONS[name], math.sqrt(sigma_b2)) is None


def test_biases_may_be_large():
    assert critical_sigma_w(ACTIVATIONS["tanh"], 101.0) > critical_sigma_w(ACTIVATIONS["tanh"], 50.0) > 9


def trapezoid(f, q):
    """E[f(sqrt(q) u)^2] by the simplest rule."""
    u = torch.linspace(-12, 12, 40_001, dtype=torch.float64)
    return float(torch.trapezoid(f(math.sqrt(q) * u) ** 2 * torch.exp(-u * u / 2) / math.sqrt(2 * math.pi), u))


@pytest.mark.parametrize(
    ("name", "sigma_w2", "sigma_b2"), [("gelu", 1.983058, 0.172923), ("silu", 1.9880, 0.5552), ("mish", 2.0135, 0.0945)]
)
def test_doubly_critical_pairs(name, sigma_w2, sigma_b2):
    """Roberts, Yaida & Hanin (2022) have the first two; here all of them are found again by other means."""
    phi = ACTIVATIONS[name]
    growth = lambda q: (trapezoid(phi.phi, q + 1e-3) - trapezoid(phi.phi, q - 1e-3)) / 2e-3
    q = brentq(lambda q: trapezoid(phi.slope, q) - growth(q), 0.1, 50)
    sigma_w, sigma_b = doubly_critical(phi)
    assert sigma_w**2 * trapezoid(phi.slope, q) == pytest.approx(1, abs=1e-5)
    assert sigma_w**2 * trapezoid(phi.phi, q) + sigma_b**2 == pytest.approx(q, rel=1e-5)
    assert (sigma_w**2, sigma_b**2) == pytest.approx((sigma_w2, sigma_b2), abs=1e-4)


@pytest.mark.parametrize("name", ["softplus", "tanh", "sigmoid"])
def test_where_there_is_no_such_pair(name):
    assert doubly_critical(ACTIVATIONS[name]) is None
