"""Nested values in float64."""

from collections.abc import Mapping
from copy import copy
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from vgexp.numerics import WITHOUT_FLOAT64


def doubled(value: Any, instead: Mapping[int, Tensor] | None = None) -> Any:
    """A value with every floating-point tensor in float64 and every complex one in complex128, and so its dtypes:
    through tuples, lists, dicts and dataclasses. Tensors are new leaves of autograd's graph.

    `instead` has tensors that stand for others, by their id.
    """
    if isinstance(value, Tensor):
        return double((instead or {}).get(id(value), value))
    if isinstance(value, torch.dtype):
        return double_of(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(doubled(part, instead) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(doubled(part, instead) for part in value)
    if isinstance(value, Mapping):
        twin: Any = copy(value)
        for name, part in value.items():
            twin[name] = doubled(part, instead)
        return twin
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: doubled(getattr(value, item.name), instead) for item in fields(value)})
    return value


def double(x: Tensor) -> Tensor:
    """One tensor in float64 or complex128, or as it is if it has neither reals nor complex numbers."""
    leaf = x.requires_grad and x.is_leaf
    x = x.detach().cpu() if x.device.type in WITHOUT_FLOAT64 else x.detach()
    return x.to(double_of(x.dtype)).requires_grad_(leaf)


def double_of(dtype: torch.dtype) -> torch.dtype:
    """The type of 64 bits a real number of the same kind."""
    if dtype.is_complex:
        return torch.complex128
    return torch.float64 if dtype.is_floating_point else dtype
