"""The maps against closed forms, the columns of moments, and derivatives by differences."""

import math

import pytest
import torch

from vgexp.networks.activations import ACTIVATIONS, Activation
from vgexp.numerics.gaussian import gaussian_mean
from vgexp.theory.maps import chi_1, chi_c, correlation_map, gap_map, length_map, length_slope


def q(value):
    return torch.tensor([value], dtype=torch.float64)


# E phi, E phi^2, E phi'^2, E phi'^2 / E phi^2, E phi'^2 / Var phi and the slope of E phi(sqrt(q) u)^2 at q = 1 with the
# gain that keeps 1; to the digits shown.
MOMENTS = {
    "identity": (0, 1, 1, 1, 1, 1),
    "relu": (0.3989, 0.5, 0.5, 1, 1.4669, 1),
    "tanh": (0, 0.39429, 0.4644, 1.1778, 1.1778, 0.461),
    "lecun_tanh": (0, 0.75043, 0.8040, 1.0714, 1.0714, 0.615),
    "erf": (0, 0.46456, 0.5694, 1.2257, 1.2257, 0.409),
    "sigmoid": (0.5, 0.29338, 0.0448, 0.1528, 1.0336, 0.106),
    "softsign": (0, 0.18301, 0.2277, 1.2440, 1.2440, 0.477),
    "hardtanh": (0, 0.51606, 0.6827, 1.3229, 1.3229, 0.385),
    "selu": (0, 1.0000, 1.0716, 1.0716, 1.0716, 0.783),
    "elu": (0.1605, 0.64495, 0.6681, 1.0359, 1.0790, 0.891),
    "gelu": (0.2821, 0.42522, 0.4559, 1.0720, 1.3190, 1.144),
    "silu": (0.2066, 0.35578, 0.3795, 1.0666, 1.2121, 1.173),
    "mish": (0.2404, 0.45234, 0.4791, 1.0591, 1.2143, 1.076),
    "softplus": (0.8061, 0.92125, 0.2934, 0.3185, 1.0806, 0.492),
}


def mish():
    """Until it stands among the others."""

    def slope(z):
        z = z.detach().requires_grad_(True)
        return torch.autograd.grad(torch.nn.functional.mish(z).sum(), z)[0]

    return ACTIVATIONS.get("mish") or Activation(torch.nn.functional.mish, slope)


@pytest.mark.parametrize("name", MOMENTS)
def test_moments_of_every_activation(name):
    phi = mish() if name == "mish" else ACTIVATIONS[name]
    first, second, slope, over_second, over_variance, growth = MOMENTS[name]
    mean = float(gaussian_mean(phi.phi, q(1.0), phi.kinks))
    mean_square = float(length_map(phi, 1.0, 0.0, q(1.0)))
    mean_square_slope = float(chi_1(phi, 1.0, q(1.0)))
    assert mean == pytest.approx(first, abs=5.1e-5)
    assert mean_square == pytest.approx(second, abs=5.1e-6)
    assert mean_square_slope == pytest.approx(slope, abs=5.1e-5)
    assert mean_square_slope / mean_square == pytest.approx(over_second, abs=5.1e-5)
    assert mean_square_slope / (mean_square - mean**2) == pytest.approx(over_variance, abs=5.1e-4)
    assert float(length_slope(phi, mean_square**-0.5, q(1.0))) == pytest.approx(growth, abs=5.1e-4)


@pytest.mark.parametrize("name", ["tanh", "gelu", "hardtanh", "selu", "sigmoid"])
@pytest.mark.parametrize("length", [0.01, 1.0, 30.0])
def test_the_slope_of_the_length_map_against_differences(name, length):
    phi, step = ACTIVATIONS[name], 1e-4 * length
    there = length_map(phi, 1.3, 0.2, torch.tensor([length - step, length + step], dtype=torch.float64))
    assert float(length_slope(phi, 1.3, q(length))) == pytest.approx(float(there.diff()) / (2 * step), rel=1e-6)


@pytest.mark.parametrize("c", [-0.9, -0.2, 0.0, 0.5, 0.99])
def test_the_correlation_map_of_relu_is_cho_and_saul_s(c):
    """(sqrt(1 - c^2) + (pi - arccos c) c) / pi, with the slope 1 - arccos(c) / pi: Cho & Saul (2009)."""
    phi = ACTIVATIONS["relu"]
    exact = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    assert correlation_map(phi, math.sqrt(2), 0.0, 3.0, c) == pytest.approx(exact, abs=1e-12)
    assert chi_c(phi, math.sqrt(2), 3.0, c) == pytest.approx(1 - math.acos(c) / math.pi, abs=1e-12)


@pytest.mark.parametrize("name", ["tanh", "relu", "hardtanh", "selu", "gelu"])
def test_the_ends_of_the_correlation_map(name):
    phi = ACTIVATIONS[name]
    assert correlation_map(phi, 1.2, 0.3, 0.8, 1.0) == pytest.approx(1.0, abs=1e-12)
    assert chi_c(phi, 1.2, 0.8, 1.0) == pytest.approx(float(chi_1(phi, 1.2, q(0.8))), rel=1e-10)
    unlike = (1.2**2 * float(gaussian_mean(phi.phi, q(0.8), phi.kinks)) ** 2 + 0.3**2) / float(
        length_map(phi, 1.2, 0.3, q(0.8))
    )
    assert correlation_map(phi, 1.2, 0.3, 0.8, 0.0) == pytest.approx(unlike, abs=1e-12)
    assert 1 - gap_map(phi, 1.2, 0.3, 0.8, 1.0) == pytest.approx(unlike, abs=1e-12)


@pytest.mark.parametrize("name", ["tanh", "gelu", "selu", "hardtanh"])
def test_small_gaps_grow_by_the_slope(name):
    """By chi_1 q / q', the derivative of 1 - c' by 1 - c at 0; where phi' has steps, up to the root of the gap."""
    phi, length = ACTIVATIONS[name], 0.9
    slope = float(chi_1(phi, 1.5, q(length))) * length / float(length_map(phi, 1.5, 0.1, q(length)))
    gap = 1e-12
    tolerance = 1e-5 if name in ("selu", "hardtanh") else 1e-9
    assert gap_map(phi, 1.5, 0.1, length, gap) / gap == pytest.approx(slope, rel=tolerance)


def test_inputs_of_a_deep_relu_network_align_by_a_power_of_the_depth():
    """1 - c -> 9 pi^2 / (2 l^2)."""
    gap, depth = 1.0, 2000
    for _ in range(depth):
        gap = (lambda c: 1 - (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi)(1 - gap)
    assert gap * depth**2 == pytest.approx(9 * math.pi**2 / 2, rel=0.02)
    ours = gap_map(ACTIVATIONS["relu"], math.sqrt(2), 0.0, 1.0, 1e-4)
    c = 1 - 1e-4
    assert ours == pytest.approx(1 - (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi, abs=1e-13)
