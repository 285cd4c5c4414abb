import pytest
import torch

from vgexp.numerics.blas import DOTS, SERIAL, sums

LONG = [(1, 1, SERIAL), (1, 1, SERIAL + 1), (3, 2, SERIAL), (2, 3, 10_001)]
SHAPES = [(1, 0, 3), (2, 0, 3), (1, 1, 1), (3, 5, 7), *LONG]


@pytest.mark.parametrize("dtype", DOTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_of_every_member(shape, dtype):
    x = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0)) + 1
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    x_MX = x.double().flatten(1)
    assert sums(x, shape[0], squared=True) == pytest.approx(x_MX.square().sum(1).tolist(), rel=tolerance)
    assert sums(x, shape[0], squared=False) == pytest.approx(x_MX.sum(1).tolist(), rel=tolerance)
    assert sums(x, 1, squared=True) == pytest.approx([x_MX.square().sum().item()], rel=tolerance)


def test_sums_of_views():
    """Not where the storage begins, not in the order in which it lies, and needing a gradient."""
    x = torch.randn(4, 6, 8, dtype=torch.float64, requires_grad=True)
    for view in (x[1:], x[:, :, ::2], x.transpose(1, 2), x.expand(4, 6, 8)[2:3]):
        expected = view.detach().flatten(1).square().sum(1).tolist()
        assert sums(view, len(view), squared=True) == pytest.approx(expected)


def test_long_float32_sums_keep_their_digits():
    x = torch.full((1, 1, 10**7), 0.1)
    assert sums(x, 1, squared=True) == pytest.approx([x.double().square().sum().item()], rel=1e-6)
