import pytest
import torch

from vgexp.numerics.norms import norm, total_norm


@pytest.mark.parametrize("exponent", [-40, -30, -23, 0, 20, 30])
@pytest.mark.parametrize("members", [1, 3])
def test_norm_lives_where_the_float32_sum_of_squares_does_not(exponent, members):
    x = torch.full((members, 3, 4), 2.0, dtype=torch.float32)
    x[-1] = 2.0 * 10.0**exponent  # one member's exponent is not its neighbours'
    assert norm(x).tolist() == pytest.approx([12**0.5 * 2] * (members - 1) + [12**0.5 * float(x[-1, 0, 0])], rel=1e-6)
    assert total_norm(x[-1]) == pytest.approx(12**0.5 * float(x[-1, 0, 0]), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 8192), (2, 3, 8191), (1, 1, 100_003), (3, 128, 128), (3, 200, 100)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norms_of_large_tensors(shape, dtype):
    """Long rows are summed in pieces."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype) + 2
    expected = x.double().flatten(1).norm(dim=1)
    torch.testing.assert_close(norm(x), expected, rtol=1e-6 if dtype == torch.float32 else 1e-13, atol=0)


@pytest.mark.parametrize("shape", [(1, 64, 128), (1, 128, 128), (2, 128, 128), (1, 1000, 1000)])
def test_norms_of_equal_entries(shape):
    """The worst case: every rounding goes the same way."""
    x = torch.full(shape, 0.1)
    torch.testing.assert_close(norm(x), x.double().flatten(1).norm(dim=1), rtol=1e-6, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(8, 64, 128), (8, 128, 128), (2, 200, 300), (3, 1000, 900)])
def test_large_stacks_on_several_threads(shape, threads):
    """Random entries, equal ones (the worst case), and one member beyond float32's sums beside others."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for x in (torch.randn(shape, generator=torch.Generator().manual_seed(0)), torch.full(shape, 0.1)):
            torch.testing.assert_close(norm(x), x.double().flatten(1).norm(dim=1), rtol=1e-5, atol=0)
            x[1] *= 1e-30
            torch.testing.assert_close(norm(x), x.double().flatten(1).norm(dim=1), rtol=1e-5, atol=0)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_has_no_finite_norm_and_leaves_other_members_theirs(value):
    x = torch.ones(2, 3, 4)
    x[0, 1, 2] = value
    norms = norm(x)
    assert not norms[0].isfinite()
    assert norms[1].item() == pytest.approx(12**0.5)


def test_strided_members():
    """The halves of a reversible layer are views."""
    x = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for half in x.chunk(2, dim=-1):
        torch.testing.assert_close(norm(half), half.flatten(1).norm(dim=1))
