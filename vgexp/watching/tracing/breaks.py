"""Breaks: the operation that made the first number that is not finite, forward or backward.

The loss and its backward pass are computed once more under a recorder. From what is not finite at the end (the loss,
else the gradients of parameters) one goes back to what made it: so a NaN that a mask throws away is no break, and
infinities that were put there as masks are none either.

>>> import torch
>>> net, x = nn.Linear(2, 3), torch.ones(4, 2)
>>> print(first_break(net, lambda: (net(x) * 0).sqrt().sum()).operation)
sqrt
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vgexp.watching.tracing.extents import Extent, extent, joined
from vgexp.watching.tracing.operations import Operation, Recorder, Source
from vgexp.watching.tracing.pitfalls import advice
from vgexp.watching.tracing.state import untouched

LINEAR = ("matmul", "conv", "embedding", "layer_norm", "batch_norm", "group_norm", "rms_norm", "add")
"""Operations whose derivative by their weights may overflow alone."""
PASSING = ("cast", "t", "transpose", "permute", "view", "reshape", "expand", "unsafe_view", "detach", "clone", "copy")
"""Operations between a weight and the operation that uses it."""
MADE = {True: "nan", False: "inf"}


@dataclass(frozen=True)
class Break:
    """The first number that is not finite."""

    direction: str
    """`input`, `weights`, `forward`, `backward`, or `weight gradient` (dz is finite, dW is not)."""
    operation: str
    """As people call it: `sqrt`, `softmax`, `matmul`. Empty for inputs and weights."""
    module: str
    """The innermost module that ran, or that owns the weights; the model itself by its class, empty in the loss."""
    line: str
    """The first line outside torch that called the operation, `file:number: text`; empty for inputs and weights."""
    dtype: str
    made: str
    """`nan` or `inf`."""
    low: float
    high: float
    """The smallest and the largest number that went in."""
    evidence: str
    advice: str


def first_break(model: nn.Module, run: Callable[[], Tensor]) -> Break | None:
    """The first number that is not finite when `run` computes the loss, and in its backward pass; None where the loss
    and the gradients of all parameters are finite.

    The model's gradients and buffers and torch's random numbers are restored. Raises what `run` raises.
    """
    with untouched(model), Recorder(model) as recorder:
        loss = run()
        backward = bool(torch.isfinite(loss.detach()).all())
        if backward and loss.requires_grad:
            loss.backward()
        ends = [p.grad for p in model.parameters() if p.grad is not None] if backward else [loss]
        broken = [maker for x in ends if not extent(x).finite for maker in recorder.makers(x)]
        found = root(broken)
    if found is None:
        return None
    if isinstance(found, Source):
        return _of_source(found)
    return _of_operation(found, backward, broken)


def root(broken: Iterable[Operation | Source]) -> Operation | Source | None:
    """What the numbers that are not finite go back to: weights that are not finite; else inputs; else the first
    operation that made one of finite numbers, or NaN of infinities that no operation made; else what put an infinity
    there on purpose."""
    ends = list(broken)
    ancestors = _ancestors(ends)
    sources = [found for found in ancestors if isinstance(found, Source)]
    operations = sorted((found for found in ancestors if isinstance(found, Operation)), key=lambda found: found.order)
    weights = [found for found in sources if _faulty_weights(found)]
    inputs = [found for found in sources if found.kind == "input" and not found.masks]
    made = [found for found in operations if not found.causes and not found.masks]
    of_masks = [found for found in operations if _makes_nan_of_masks(found)]
    put = [found for found in operations if not found.causes]
    first = sorted(made + of_masks, key=lambda found: found.order)
    return next(iter([*weights, *inputs, *first, *put, *sources]), None)


def _ancestors(ends: Iterable[Operation | Source]) -> list[Operation | Source]:
    """What is not finite and led to `ends`, these included."""
    found, stack, seen = [], list(ends), set()
    while stack:
        maker = stack.pop()
        if id(maker) not in seen:
            seen.add(id(maker))
            found.append(maker)
            stack.extend(maker.causes if isinstance(maker, Operation) else ())
    return found


def _faulty_weights(found: Source) -> bool:
    """Infinities in a buffer or in frozen weights are a mask."""
    return found.kind == "weights" or (found.kind == "buffer" and found.extent.nan)


def _makes_nan_of_masks(found: Operation) -> bool:
    """Whether an operation makes NaN of infinities that no operation made of finite numbers."""
    if not found.output.nan or not found.causes or any(extent.nan for extent in found.inputs):
        return False
    return all(
        not _faulty_weights(cause) if isinstance(cause, Source) else bool(cause.causes) or cause.masks
        for cause in _ancestors(found.causes)
    )


def _of_source(found: Source) -> Break:
    made = MADE[found.extent.nan]
    if found.kind == "input":
        evidence = f"what comes from outside (inputs, targets, constants) has {made} before anything is computed"
        what = "look at the data: missing values, a division in its preparation"
    else:
        evidence = f"{found.module}.{found.name} has {made} before anything is computed"
        what = "an earlier update broke it: go back to weights that are finite, lower the learning rate, clip gradients"
        if found.name.startswith("running_"):
            what = "an earlier batch broke its statistics: reset_running_stats() and look at the inputs"
    direction = "input" if found.kind == "input" else "weights"
    low, high = found.extent.low, found.extent.high
    return Break(direction, "", found.module, "", _plain(found.dtype), made, low, high, evidence, what)


def _of_operation(found: Operation, backward: bool, ends: list[Operation | Source]) -> Break:
    forward = found.derives or found
    hidden_by = forward.hidden_by if backward else ""
    what = advice(found, hidden_by)
    derivative = found.derives is not None
    direction = "forward"
    if derivative or backward:
        direction = "weight gradient" if backward and _only_weights(found, ends) else "backward"
    low, high, *_ = joined(forward.inputs)
    made, dtype = MADE[found.output.nan], _plain(found.dtype)
    where = f" in {found.module}" if found.module else ""
    where += f" ({found.line.partition(': ')[0]})" if found.line else ""
    subject = f"the derivative of {found.name}{where}" if derivative else f"{found.name}{where}"
    evidence = f"{direction}: {subject} is {made} in {dtype}; {_listed(forward.inputs)} went into {found.name}"
    if derivative:
        evidence += f", {_listed(found.inputs)} into its derivative"
    elif hidden_by:
        evidence += f"; {hidden_by} hides it forward, but its derivative is nan"
    return Break(direction, found.name, found.module, found.line, dtype, made, low, high, evidence, what)


def _only_weights(found: Operation, ends: list[Operation | Source]) -> bool:
    """Whether a derivative that is not finite is one of weights alone."""
    if found.derives is None or found.name not in LINEAR:
        return False
    level = [end for end in ends if isinstance(end, Operation)]
    seen: set[int] = set()
    while level:
        end = level.pop()
        if end is found:
            return True
        if id(end) not in seen and (end.name in PASSING or end.derives is found.derives):
            seen.add(id(end))
            level.extend(cause for cause in end.causes if isinstance(cause, Operation))
    return False


def _listed(extents: Iterable[Extent]) -> str:
    return " and ".join(str(extent) for extent in extents) or "nothing"


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
