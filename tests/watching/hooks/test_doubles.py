from collections import UserDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch

from vgexp.watching.hooks.doubles import doubled


class Pair(NamedTuple):
    x: torch.Tensor
    n: int


@dataclass
class Sample:
    x: torch.Tensor
    name: str


X = torch.ones(2, dtype=torch.float16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_reals_and_complex_numbers(dtype):
    x = torch.tensor([0.5, -2.0]).to(dtype)
    assert torch.equal(doubled(x), torch.tensor([0.5, -2.0], dtype=torch.float64))
    assert doubled(torch.ones(2, dtype=torch.complex64)).dtype is torch.complex128
    labels = torch.arange(3)
    assert doubled(labels).dtype is torch.int64 and doubled(labels.bool()).dtype is torch.bool
    assert doubled(dtype) is torch.float64 and doubled(torch.int32) is torch.int32


@pytest.mark.parametrize(
    ("value", "x"),
    [
        ([X, 1], lambda twin: twin[0]),
        ((X, "a"), lambda twin: twin[0]),
        ({"a": [X]}, lambda twin: twin["a"][0]),
        (UserDict(a=X), lambda twin: twin["a"]),
        (Pair(X, 3), lambda twin: twin.x),
        (Sample(X, "a"), lambda twin: twin.x),
    ],
)
def test_nested_values_keep_their_kind(value, x):
    twin = doubled(value)
    assert type(twin) is type(value) and len(vars(twin)) == len(vars(value)) if hasattr(value, "__dict__") else True
    assert x(twin).dtype is torch.float64
    assert X.dtype is x(value).dtype is torch.float16


def test_leaves_stay_leaves():
    x = torch.ones(2, requires_grad=True)
    assert doubled(x).is_leaf and doubled(x).requires_grad and doubled(x) is not x
    assert not doubled(x * 2).requires_grad


def test_some_stand_for_others():
    x, y = torch.ones(2), torch.zeros(2)
    (twin,) = doubled((x,), {id(x): y})
    assert torch.equal(twin, y.double())
