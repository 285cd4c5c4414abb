"""Breaks: the operation that made the first number that is not finite, forward or backward.

The loss and its backward pass are computed once more under a recorder. From what is not finite at the end (the loss,
else the gradients of parameters) one goes back to what made it: so a NaN that a mask throws away is no break, and
infinities that were put there as masks are none either. Where an error is raised before the end, as by a validation of
arguments, an assertion, or an index that was made of NaN, the last such number is the end, if the error is because of
it: if none is raised as soon as every operation takes 0 for NaN, or 1.

>>> import torch
>>> net, x = nn.Linear(2, 3), torch.ones(4, 2)
>>> print(first_break(net, lambda: (net(x) * 0).sqrt().sum()).operation)
sqrt
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vgexp.config import named
from vgexp.numerics import torch_private
from vgexp.watching.hooks.layers import tensors
from vgexp.watching.tracing.extents import Extent, extent, joined
from vgexp.watching.tracing.operations import Operation, Recorder, Source
from vgexp.watching.tracing.pitfalls import advice
from vgexp.watching.tracing.state import untouched

LINEAR = ("matmul", "conv", "embedding", "layer_norm", "batch_norm", "group_norm", "rms_norm", "add")
"""Operations whose derivative by their weights may overflow alone."""
PASSING = ("cast", "t", "transpose", "permute", "view", "reshape", "expand", "unsafe_view", "detach", "clone", "copy")
"""Operations between a weight and the operation that uses it."""
MADE = {True: "nan", False: "inf"}
SINGULAR = torch.linalg.LinAlgError  # pyright: ignore[reportPrivateImportUsage]
"""What a decomposition raises, of NaN too; of zeros as well, so that nothing is to be learned by trying."""


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

    The model's gradients and buffers and torch's random numbers are restored. Raises what `run` or the backward pass
    raises, unless that is because of such a number: then the evidence ends with the error.
    """
    backward, after = False, ""
    with untouched(model), Recorder(model) as recorder:
        try:
            loss = run()
            backward = bool(torch.isfinite(loss.detach()).all())
            if backward and loss.requires_grad:
                loss.backward()
        except Exception as error:  # whatever a model or a loss of somebody's raises
            broken = recorder.last
            if not broken or not (isinstance(error, SINGULAR) or _caused(model, run)):
                raise
            after = f"; then comes {named(error)}"
        else:
            ends = [p.grad for p in model.parameters() if p.grad is not None] if backward else [loss]
            broken = [maker for x in ends if not extent(x).finite for maker in recorder.makers(x)]
        found = root(broken)
    if found is None:
        return None
    made = _of_source(found) if isinstance(found, Source) else _of_operation(found, backward, broken)
    return replace(made, evidence=made.evidence + after)


def _caused(model: nn.Module, run: Callable[[], Tensor]) -> bool:
    """Whether an error is because of numbers that are not finite. 0 is no deviation, 1 may be no index."""
    return _runs_with(0.0, model, run) or _runs_with(1.0, model, run)


def _runs_with(number: float, model: nn.Module, run: Callable[[], Tensor]) -> bool:
    """Whether the loss and its backward pass raise no error where operations take a number for NaN, and a large one for
    an infinity."""

    def perform(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        arguments = torch_private.arguments(operation, args, kwargs)
        kept = {id(x) for _, value, writes in arguments if writes for x in tensors(value)}
        by_name = {name: _cleaned(value, number, kept) for name, value in kwargs.items()}
        return operation(*_cleaned(args, number, kept), **by_name)

    try:
        with untouched(model), torch_private.each_operation(perform):
            loss = run()
            if loss.requires_grad:
                loss.backward()
    except Exception:  # the same one, or one that the zeros brought
        return False
    return True


def _cleaned(value: Any, number: float, kept: Collection[int]) -> Any:
    """A tensor, or those in a list or tuple, with a number for NaN and without infinities; those of the `id`s `kept` as
    they are."""
    if isinstance(value, list | tuple):
        return type(value)(_cleaned(part, number, kept) for part in value)
    if not isinstance(value, Tensor) or id(value) in kept or extent(value).finite:
        return value
    return value.nan_to_num(number)


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
