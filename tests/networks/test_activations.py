import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from vgexp.networks.activations import ACTIVATIONS, activation

TORCH = {
    "identity": torch.nn.Identity(),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softsign": F.softsign,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "erf": torch.special.erf,
    "hardtanh": F.hardtanh,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
}


@pytest.mark.parametrize("name", TORCH)
def test_phi_is_torchs(name):
    z = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[name].phi(z), TORCH[name](z))


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(z=st.floats(-30, 30))
def test_slope_is_the_derivative(name, z):
    x = torch.tensor([z], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(ACTIVATIONS[name].phi(x).sum(), x)
    torch.testing.assert_close(ACTIVATIONS[name].slope(x.detach()), expected, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_max_slope_is_the_maximum(name):
    z = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    assert float(ACTIVATIONS[name].slope(z).abs().max()) == pytest.approx(ACTIVATIONS[name].max_slope, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if ACTIVATIONS[name].piecewise_linear])
def test_piecewise_linear_means_what_it_says(name):
    kinks = (0.0, *ACTIVATIONS[name].kinks)
    z = torch.linspace(-3, 3, 601, dtype=torch.float64) + 1e-4
    slope = ACTIVATIONS[name].slope(z)
    changed = z[1:][slope.diff() != 0]
    assert all(min(abs(float(at) - kink) for kink in kinks) < 0.02 for at in changed)


def test_lecun_tanh_maps_one_to_one():
    assert float(ACTIVATIONS["lecun_tanh"].phi(torch.tensor(1.0))) == pytest.approx(1, abs=1e-4)


def test_negative_slope_is_leaky_relus_alone():
    z = torch.tensor([-2.0])
    assert float(activation("leaky_relu", 0.3).phi(z)) == pytest.approx(-0.6)
    assert float(activation("relu", 0.3).phi(z)) == 0
