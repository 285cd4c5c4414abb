import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from vgexp.config.fields import ModelConfig
from vgexp.networks import activations
from vgexp.networks.activations import ACTIVATIONS, NUMPY_TANH_FROM, TAILORED_CORRELATION, activation, fast_tanh

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
    "mish": F.mish,
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


FORWARD_MODE = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
"""torch itself uses what it deprecates."""


def normal(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@FORWARD_MODE
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_of_every_order_and_mode(name):
    z = normal(7).requires_grad_()
    assert gradcheck(ACTIVATIONS[name].phi, z, check_forward_ad=True, check_batched_grad=True)
    assert gradgradcheck(ACTIVATIONS[name].phi, z)


@FORWARD_MODE
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_large_tensor_has_the_same_derivatives(name, dtype):
    """jvp, vjp, dual numbers and the second derivative, at a size at which networks take another way."""
    phi, slope = ACTIVATIONS[name].phi, ACTIVATIONS[name].slope
    z, v = normal(2, NUMPY_TANH_FROM, dtype=dtype)
    expected = slope(z) * v
    torch.testing.assert_close(torch.func.jvp(phi, (z,), (v,)), (phi(z), expected))
    h, pull = torch.func.vjp(phi, z)
    torch.testing.assert_close((h, pull(v)[0]), (phi(z), expected))
    with forward_ad.dual_level():
        torch.testing.assert_close(forward_ad.unpack_dual(phi(forward_ad.make_dual(z, v))).tangent, expected)
    z.requires_grad_()
    (dz,) = torch.autograd.grad(phi(z).sum(), z, create_graph=True)
    if dz.requires_grad:
        (second,) = torch.autograd.grad(dz.sum(), z)
        z = z.detach()
        curvature = torch.func.jvp(slope, (z,), (torch.ones_like(z),))[1]
        torch.testing.assert_close(second, curvature, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("entries", [1000, NUMPY_TANH_FROM])
@pytest.mark.parametrize("scale", [1e-30, 1e-4, 1.0, 100.0])
def test_fast_tanh_is_right_to_the_last_digit_and_so_is_its_gradient(entries, scale):
    z = (scale * normal(entries, dtype=torch.float32)).requires_grad_()
    exact = torch.tanh(z.detach().double())
    h = fast_tanh(z)
    torch.testing.assert_close(h.double(), exact, rtol=3e-7, atol=0)
    (dz,) = torch.autograd.grad(h.sum(), z)
    torch.testing.assert_close(dz.double(), 1 - exact**2, rtol=1e-5, atol=3e-7)


def test_fast_tanh_of_what_is_not_finite():
    z = torch.full((NUMPY_TANH_FROM,), torch.nan)
    z[0], z[1] = torch.inf, -torch.inf
    h = fast_tanh(z)
    assert h[:2].tolist() == [1, -1]
    assert h[2:].isnan().all()


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if ACTIVATIONS[name].fast])
def test_a_network_takes_the_fast_way_to_the_same_values(name, monkeypatch):
    calls = []
    numpys = activations._NumpyTanh.apply
    monkeypatch.setattr(activations._NumpyTanh, "apply", lambda z: calls.append(z) or numpys(z))
    z = normal(NUMPY_TANH_FROM, dtype=torch.float32)
    h = ACTIVATIONS[name](z)
    assert len(calls) == 1
    torch.testing.assert_close(h.double(), ACTIVATIONS[name].phi(z.double()), rtol=1e-6, atol=0)


def test_an_activation_without_a_fast_way_is_called_as_it_is():
    z = normal(5)
    assert torch.equal(ACTIVATIONS["relu"](z), z.clamp(min=0))


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
    leaky, relu = (activation(ModelConfig(activation=name, negative_slope=0.3)) for name in ("leaky_relu", "relu"))
    assert float(leaky.phi(z)) == pytest.approx(-0.6)
    assert float(relu.phi(z)) == 0


def correlations(phi, depth, width=400, seeds=12):
    """Of two orthogonal inputs after each layer of wide random networks with sigma_w = 1, averaged."""
    x = torch.eye(2, width, dtype=torch.float64).mul(width**0.5).expand(seeds, -1, -1)
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(depth):
        x = phi(x @ torch.randn(seeds, width, width, generator=generator, dtype=torch.float64) / width**0.5)
        found.append(float(F.cosine_similarity(x[:, 0], x[:, 1], dim=-1).mean()))
    return torch.tensor(found)


@pytest.mark.parametrize("depth", [13, 40])
def test_tailored_networks_keep_two_inputs_apart(depth):
    """Real ones reach the correlation that was asked for, where ReLU has a larger one."""
    tailored = activation(ModelConfig(activation="tailored", depth=depth))
    relu = ACTIVATIONS["relu"]
    assert float(correlations(tailored.phi, depth)[-1]) == pytest.approx(TAILORED_CORRELATION, abs=0.02)
    assert float(correlations(lambda z: 2**0.5 * relu.phi(z), depth)[-1]) > TAILORED_CORRELATION


def test_tailored_keeps_lengths_and_slopes():
    """E phi^2 = E phi'^2 = 1 of a standard normal, half of it on either side of 0."""
    for depth in (5, 20, 100):
        phi = activation(ModelConfig(activation="tailored", depth=depth))
        sides = torch.tensor([-1.0, 1.0], dtype=torch.float64)
        assert float(phi.phi(sides).square().mean()) == pytest.approx(1)
        assert float(phi.slope(sides).square().mean()) == pytest.approx(1)


def test_a_shallow_tailored_network_has_relu():
    phi = activation(ModelConfig(activation="tailored", depth=5))
    assert phi.phi(torch.tensor([-1.0, 1.0])).tolist() == pytest.approx([0, 2**0.5])
