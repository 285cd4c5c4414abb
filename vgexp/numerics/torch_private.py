"""What vgexp uses of torch that torch does not promise to keep.

Each function looks its private name up when it is called, and raises Missing where the installed torch has no such
name. No other module of the package uses a private name of torch (tests/numerics/test_torch_private.py).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import OptState


class Missing(RuntimeError):
    """The installed torch lacks a private name."""


@cache
def private(module: str, name: str) -> Any:
    """What torch keeps under `name`, which may have dots, in `module`. Raises Missing."""
    try:
        found = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        raise _missing(f"{module}.{name}") from None
    return found


def _missing(what: str) -> Missing:
    return Missing(f"torch {torch.__version__} has no {what}, which this version of vgexp needs")


def in_backward() -> bool:
    """Whether autograd is running a backward pass on this thread."""
    return graph_task() != -1


def graph_task() -> int:
    """The number of the backward pass that runs on this thread, -1 outside of one."""
    return private("torch._C", "_current_graph_task_id")()


def current_node() -> Any:
    """The node of autograd's graph that runs on this thread; None outside of a backward pass."""
    return private("torch._C", "_current_autograd_node")()


def sequence(node: Any) -> int:
    """When a node of autograd's graph was made: the number is larger than those of all nodes upstream, leaves aside."""
    try:
        return node._sequence_nr()
    except AttributeError:
        raise _missing(f"{type(node).__name__}._sequence_nr") from None


def whole(x: Tensor) -> Tensor:
    """The tensor of which x is another view with the same entries in the same order, else x itself. An operation in
    place on a view takes the place of the view's node in the graph, not of the node below it."""
    base: Tensor | None = _attribute(x, "_base")
    if base is None or base.grad_fn is None or base.numel() != x.numel():
        return x
    return base if base.is_contiguous() and x.is_contiguous() else x


def version(x: Tensor) -> int:
    """How often a tensor was changed in place, by operations that autograd knows of."""
    return _attribute(x, "_version")


def is_transformed(x: Tensor) -> bool:
    """Whether a tensor belongs to one of torch.func's transforms (vmap, grad, jvp, functionalize)."""
    return private("torch._C._functorch", "is_functorch_wrapped_tensor")(x)


def untransformed(x: Tensor) -> Tensor:
    """The tensor beneath those of torch.func's transforms: autograd's, where autograd records."""
    while is_transformed(x):
        x = private("torch._C._functorch", "get_unwrapped")(x)
    return x


def is_compiled(module: nn.Module) -> bool:
    """Whether a module runs compiled: by `torch.compile(module)`, which wraps it, or by `module.compile()`."""
    wrapped = type(module).__name__ == "OptimizedModule"  # by its name: to import it takes a second
    return wrapped or _attribute(module, "_compiled_call_impl") is not None


def registered(module: nn.Module) -> tuple[dict[str, Tensor | None], set[str]]:
    """The module's own buffers, those that are None too, and the names of those that its state leaves out: what
    `register_buffer` writes into."""
    return _attribute(module, "_buffers"), _attribute(module, "_non_persistent_buffers_set")


def saved_tensor(node: Any, name: str) -> Tensor | None:
    """The tensor that a node of autograd's graph saved under `name`, as in derivatives.yaml (`self`, `result`).

    None where the node saved nothing by that name, where asking would compute it anew (checkpointing), and where it
    was freed, or overwritten since.
    """
    raw = getattr(node, f"_raw_saved_{name}", None)
    if raw is None or getattr(raw, "unpack_hook", raw) is not None:
        return None
    try:
        return getattr(node, f"_saved_{name}").detach()
    except RuntimeError:
        return None


def saves(node: Any, name: str) -> bool:
    """Whether a kind of node has a tensor under `name`, which may be gone by now."""
    return hasattr(node, f"_raw_saved_{name}")


def saved_number(node: Any, name: str) -> float | None:
    """The number that a node of autograd's graph saved under `name`; None where that was not given, or is a tensor."""
    found = _attribute(node, f"_saved_{name}")
    return found if isinstance(found, int | float) else None


def scale_of(scaler: torch.amp.GradScaler) -> Tensor | None:
    """The factor of a scaler, on its device, without waiting for it as `get_scale` does; None before its first use."""
    return _attribute(scaler, "_get_scale_async")()


def unscaled(scaler: torch.amp.GradScaler) -> set[int]:
    """The `id` of the optimizers whose gradients `scaler.unscale_` has divided since the last update."""
    states = _attribute(scaler, "_per_optimizer_states")
    return {optimizer for optimizer, state in states.items() if state["stage"] is OptState.UNSCALED}


def each_operation(perform: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]) -> AbstractContextManager[Any]:
    """A context in which `perform(operation, args, kwargs)` stands in the place of each operation of torch, autograd's
    included: it calls the operation and returns what that returns."""

    class Mode(private("torch.utils._python_dispatch", "TorchDispatchMode")):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return perform(func, args, kwargs or {})

    return Mode()


def arguments(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[tuple[str, Any, bool]]:
    """What an operation is called with: the name of each argument, its value, and whether the operation writes there,
    as far as its declaration says."""
    declared = _attribute(operation, "_schema").arguments
    named = [*zip((argument.name for argument in declared), args, strict=False), *kwargs.items()]
    written = {argument.name for argument in declared if argument.alias_info and argument.alias_info.is_write}
    return [(name, value, name in written) for name, value in named]


def last_node() -> int:
    """The number of the node of autograd's graph that was made last on this thread: inside an operation that is
    differentiated, the number of its own."""
    return private("torch.autograd", "_get_sequence_nr")() - 1


def onednn_linear(x_BP: Tensor, weight_QP: Tensor, bias_Q: Tensor | None) -> Tensor:
    """x W^T + b in float32 on a host, (B, Q), by oneDNN's inner product. B examples, P fan-in, Q fan-out."""
    return private("torch", "ops.mkldnn._linear_pointwise")(x_BP, weight_QP, bias_Q, "none", [], "")


def _attribute(owner: Any, name: str) -> Any:
    """A private attribute of one of torch's objects. Raises Missing."""
    try:
        return getattr(owner, name)
    except AttributeError:
        raise _missing(f"{type(owner).__name__}.{name}") from None
