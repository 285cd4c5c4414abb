import pytest
import torch

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
