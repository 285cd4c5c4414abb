import math

import pytest
import torch

from vgexp.watching.tracing.extents import Extent, extent, joined

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.complex64],
)
def test_the_extent_of_each_dtype(dtype):
    x = torch.tensor([1.0, -2.0, 0.5]).to(dtype)
    assert extent(x) == Extent(-2.0, 1.0)
    x = torch.tensor([1.0, INF, -2.0, NAN]).to(dtype)
    assert extent(x) == Extent(-2.0, 1.0, nan=True, inf=True)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_extents_of_odd_tensors():
    assert extent(torch.empty(0)) == Extent(0.0, 0.0)
    assert extent(torch.tensor([0.0, 3.0]).to_sparse()) == Extent(3.0, 3.0)
    assert extent(torch.eye(2).to_sparse_csr()) == Extent(1.0, 1.0)
    low, high, nan, inf = extent(torch.full((2,), NAN))
    assert math.isnan(low) and math.isnan(high) and nan and not inf


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Extent(-1, 2), "-1 to 2"),
        (Extent(3, 3), "3"),
        (Extent(0, 1, inf=True), "0 to 1 with inf"),
        (Extent(NAN, NAN, nan=True), "nan"),
    ],
)
def test_extents_in_words(found, words):
    assert str(found) == words


def test_extents_are_joined():
    assert joined([Extent(0, 1), Extent(-2, 0, inf=True), Extent(NAN, NAN, nan=True)]) == Extent(-2, 1, True, True)
    assert math.isnan(joined([]).low) and joined([]).finite
