"""Arguments: the tensors that an operation of torch is called with, their part of the graph and their memory.

>>> import torch
>>> (one,) = inputs([{"x": torch.ones(2)}, "sum"])
>>> one.node, one.requires_grad
(None, False)
"""

from typing import Any, NamedTuple

from torch import Tensor

from vgexp.numerics import torch_private
from vgexp.watching.hooks.graph import Node
from vgexp.watching.hooks.layers import every_tensor


class Given(NamedTuple):
    """An input of an operation, as it was before."""

    x: Tensor
    node: Node | None
    requires_grad: bool


def inputs(values: Any) -> list[Given]:
    """The tensors in nested values, as they are."""
    found = (torch_private.untransformed(x) for x in every_tensor(values))
    return [Given(x, x.grad_fn, x.requires_grad) for x in found]


def name_of(func: Any) -> str:
    """An operation as people write it: `argmax`, `data`, `float`, `numpy`."""
    name = getattr(func, "__name__", str(func))
    if name in ("__get__", "__set__"):
        name = func.__self__.__name__
    return {"__array__": "numpy", "detach_": "detach"}.get(name, name.removeprefix("__").removesuffix("__"))


def assigns(func: Any) -> bool:
    """Whether a function changes its first argument and returns nothing."""
    return getattr(func, "__name__", "") in ("__set__", "__setitem__")


def valued(name: str, args: Any, kwargs: Any) -> Any:
    """The arguments of an operation whose numbers its result may depend on; of others it takes the shape or type."""
    if name.endswith("_like") or name.startswith("new_"):
        return args[1:], kwargs
    if name.endswith("_as") or name == "to":
        return args[:1]
    return args, kwargs


def memory(x: Tensor) -> Any:
    """What all views of a tensor share; the tensor itself where it has no memory of its own (sparse ones)."""
    try:
        return x.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return x
