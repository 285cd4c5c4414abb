import pytest
import torch

from vgexp.config import ConfigError
from vgexp.numerics import processor, products

WITHOUT_ONEDNN = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")


def normal(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.fixture(
    params=[pytest.param(name, marks=WITHOUT_ONEDNN if name == "onednn" else ()) for name in products.KERNELS]
)
def kernel(request, monkeypatch):
    """Every kernel that this build of torch has, whatever this processor would get."""
    monkeypatch.setattr(products, "chosen", lambda: products.KERNELS[request.param])
    return request.param


@pytest.fixture
def choose(monkeypatch):
    """Chooses by the environment variable."""
    products.chosen.cache_clear()

    def chosen(name):
        monkeypatch.setenv("VGEXP_PRODUCTS", name)
        products.chosen.cache_clear()
        return products.chosen()

    yield chosen
    products.chosen.cache_clear()


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("units", [64, 512])
def test_products_are_those_in_float64(members, units, kernel):
    """Small matrices go one way, large ones the other."""
    h, weight = normal(members, 10, units), normal(members, units, units + 8)
    assert (weight[0].numel() >= products.LARGE_MATRIX) == (units == 512)
    dz = normal(members, 10, units + 8)
    bias = normal(members, 1, units + 8)
    exact = torch.bmm(h.double(), weight.double()) + bias
    torch.testing.assert_close(products.affine(h, weight, bias).double(), exact, rtol=1e-5, atol=1e-4)
    exact = torch.bmm(dz.double(), weight.double().transpose(1, 2))
    torch.testing.assert_close(products.times_transposed(dz, weight).double(), exact, rtol=1e-5, atol=1e-4)


def test_a_batch_shared_by_all_members(kernel):
    h, weight = normal(1, 5, 512).expand(2, -1, -1), normal(2, 512, 512)
    bias = torch.zeros(2, 1, 512)
    torch.testing.assert_close(
        products.affine(h, weight, bias), torch.bmm(h.expand(2, -1, -1), weight), rtol=1e-4, atol=1e-4
    )


def test_a_kernel_is_chosen_for_large_matrices_of_float32_on_a_host_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(products, "chosen", lambda: calls.append(1) or products.PLAIN)
    large, small = (2, 512, 512), (2, 256, 256)
    for shape, dtype, device in (
        (small, torch.float32, "cpu"),
        (large, torch.float64, "cpu"),
        (large, torch.float32, "meta"),
    ):
        weight = torch.zeros(shape, dtype=dtype, device=device)
        products.affine(weight[:, :3], weight, weight[:, :1])
        products.times_transposed(weight[:, :3], weight)
    assert not calls
    weight = torch.zeros(large)
    products.affine(weight[:, :3], weight, weight[:, :1])
    products.times_transposed(weight[:, :3], weight)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("intel", "mkl", "onednn", "expected"),
    [
        (True, True, True, "mkl"),
        (True, False, True, "onednn"),
        (False, True, True, "onednn"),
        (False, True, False, "torch"),
        (True, False, False, "torch"),
    ],
)
def test_the_kernel_of_a_processor_and_a_build(intel, mkl, onednn, expected, choose, monkeypatch):
    monkeypatch.setattr(processor, "is_intel", lambda: intel)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    assert choose("auto") is products.KERNELS[expected]


@pytest.mark.parametrize("name", ["torch", "mkl"])
def test_the_environment_chooses(name, choose):
    assert choose(name) is products.KERNELS[name]


@pytest.mark.parametrize("name", ["onednn", "cublas"])
def test_a_kernel_that_is_not_there_is_refused(name, choose, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=rf"^VGEXP_PRODUCTS: got '{name}', accepts auto, torch, mkl$"):
        choose(name)
