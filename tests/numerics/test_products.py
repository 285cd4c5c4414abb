import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from vgexp.networks.activations import ACTIVATIONS
from vgexp.numerics import products

ONEDNN = torch.backends.mkldnn.is_available()


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.skipif(not ONEDNN, reason="torch lacks oneDNN"))])
def onednn(request, monkeypatch):
    """Both libraries, whatever this processor would get."""
    monkeypatch.setattr(products, "ONEDNN", request.param)
    return request.param


@pytest.mark.parametrize(("vendor", "intel"), [("GenuineIntel", True), ("AuthenticAMD", False), (None, False)])
def test_who_made_the_processor(vendor, intel, tmp_path, monkeypatch):
    described = tmp_path / "cpuinfo"
    if vendor:
        described.write_text(f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 6\n\nprocessor\t: 1\n")
    monkeypatch.setattr(products, "DESCRIBED", described)
    monkeypatch.setattr(products.platform, "processor", lambda: "arm")
    assert products.made_by_intel() == intel


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("units", [64, 512])
def test_products_are_those_in_float64(members, units, onednn):
    """Small matrices go one way, large ones the other."""
    h, weight = normal(members, 10, units), normal(members, units, units + 8)
    assert (weight[0].numel() >= products.LARGE) == (units == 512)
    dz = normal(members, 10, units + 8)
    bias = normal(members, 1, units + 8)
    exact = torch.bmm(h.double(), weight.double()) + bias
    torch.testing.assert_close(products.affine(h, weight, bias).double(), exact, rtol=1e-5, atol=1e-4)
    exact = torch.bmm(dz.double(), weight.double().transpose(1, 2))
    torch.testing.assert_close(products.times_transposed(dz, weight).double(), exact, rtol=1e-5, atol=1e-4)


def test_a_batch_shared_by_all_members(onednn):
    h, weight = normal(1, 5, 512).expand(2, -1, -1), normal(2, 512, 512)
    bias = torch.zeros(2, 1, 512)
    torch.testing.assert_close(
        products.affine(h, weight, bias), torch.bmm(h.expand(2, -1, -1), weight), rtol=1e-4, atol=1e-4
    )


def test_oneDNN_is_used_for_large_matrices_of_float32_alone(onednn, monkeypatch):
    calls = []
    rows = products.onednn_linear
    monkeypatch.setattr(products, "onednn_linear", lambda *a: calls.append(1) or rows(*a))
    products.times_transposed(normal(2, 3, 512), normal(2, 512, 512))
    assert len(calls) == 2 * onednn
    products.times_transposed(normal(2, 3, 512, dtype=torch.float64), normal(2, 512, 512, dtype=torch.float64))
    products.times_transposed(normal(2, 3, 256), normal(2, 256, 256))
    assert len(calls) == 2 * onednn


@pytest.mark.parametrize("entries", [1000, 2**15])
@pytest.mark.parametrize("scale", [1e-30, 1e-4, 1.0, 100.0])
def test_tanh_is_right_to_the_last_digit_and_so_is_its_gradient(entries, scale):
    z = (scale * normal(entries)).requires_grad_()
    exact = torch.tanh(z.detach().double())
    h = products.tanh(z)
    torch.testing.assert_close(h.double(), exact, rtol=3e-7, atol=0)
    (dz,) = torch.autograd.grad(h.sum(), z)
    torch.testing.assert_close(dz.double(), 1 - exact**2, rtol=1e-5, atol=3e-7)


def test_tanh_of_what_is_not_finite():
    z = torch.full((products.MANY,), torch.nan)
    z[0], z[1] = torch.inf, -torch.inf
    h = products.tanh(z)
    assert h[:2].tolist() == [1, -1]
    assert h[2:].isnan().all()


def test_the_second_derivative(monkeypatch):
    monkeypatch.setattr(products, "_host", lambda x: True)
    monkeypatch.setattr(products, "MANY", 1)
    z = normal(5, dtype=torch.float64).requires_grad_()
    assert gradcheck(products.tanh, z)
    assert gradgradcheck(products.tanh, z)


def test_lecun_tanh_takes_the_same_way():
    z = normal(products.MANY)
    exact = 1.7159 * torch.tanh(2 / 3 * z.double())
    torch.testing.assert_close(ACTIVATIONS["lecun_tanh"].phi(z).double(), exact, rtol=1e-6, atol=0)
