"""Batches as people have them, and the loss of a model on one.

>>> import torch
>>> class Add(nn.Module):
...     def forward(self, x, y):
...         return x + y
>>> batch = {"x": torch.ones(3), "y": torch.ones(3)}, torch.zeros(3)
>>> float(outcome(Add(), batch, nn.functional.mse_loss).loss)
4.0
"""

import copy
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vgexp.watching.hooks.layers import bare

OWN_LOSS = "a model that returns its loss (.loss, ['loss'] or the first of a tuple), or a loss_fn"
SHOWN = 6
"""Names that a message lists."""


class Outcome(NamedTuple):
    """What a model makes of a batch."""

    loss: Tensor
    """A scalar."""
    output: Any
    """What the model returned: its forward pass, or its `training_step`."""


def outcome(model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Any] | None = None) -> Outcome:
    """The loss of a batch, and what the model put out.

    With a `loss_fn` it is `loss_fn(output, targets)`, and the batch is split as `split` does. Without one the model
    says its loss itself: by `training_step(batch, 0)`, as modules of Lightning do, or in what it returns for the whole
    batch (its targets included, as Hugging Face's models do): `output.loss`, `output["loss"]`, the first of a tuple, or
    all of it, if that is a scalar. A number of Python counts as a loss without a graph.

    Raises ValueError, in one line, for a batch that the model does not take, where there is no loss, and for a loss
    that is no scalar; and whatever the model and the loss raise.
    """
    batch = copied(batch)
    if loss_fn is not None:
        if not callable(loss_fn):
            raise ValueError(f"loss_fn: got {loss_fn!r}, accepts a function of outputs and targets")
        inputs, targets = split(model, batch)
        output = call(model, inputs)
        return Outcome(scalar("loss_fn", loss_fn(output, targets)), output)
    step = getattr(model, "training_step", None)
    if callable(step):
        with warnings.catch_warnings():  # what a step logs is not wanted here, and there is no Trainer to log it
            warnings.filterwarnings("ignore", r".*self\.trainer` reference is not registered")
            output = step(batch, 0) if _places(inspect.signature(step)) > 1 else step(batch)
        found = output["loss"] if isinstance(output, Mapping) and "loss" in output else output
        return Outcome(scalar("training_step", found), output)
    if isinstance(batch, tuple) and len(batch) == 2 and batch[1] is None:  # inputs without targets
        batch = batch[0]
    output = call(model, batch)
    return Outcome(scalar("model", own_loss(output)), output)


def copied(batch: Any) -> Any:
    """A batch whose tensors and containers may be changed: a step that takes its labels out of a dict, or a model that
    writes into its input, meets the same batch again."""
    if isinstance(batch, Tensor):
        return batch.detach().clone().requires_grad_(batch.requires_grad)
    if type(batch) is dict:
        return {name: copied(value) for name, value in batch.items()}
    if type(batch) in (list, tuple):
        return type(batch)(copied(value) for value in batch)
    return copy.copy(batch) if isinstance(batch, Mapping) else batch


def split(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """The inputs and the targets of a batch: a pair of them; a longer tuple or list, whose last is the targets; or a
    dict, in which the targets are what `forward` has no argument for. Where that is nothing, or all, they are the whole
    dict; so they are of an object with attributes, as a graph with its labels. Raises ValueError for others, and for a
    dict of which a `forward` with `**` may or may not take several."""
    if isinstance(batch, Mapping):
        signature = _signature(model)
        names = _names(signature)
        inputs = {name: value for name, value in batch.items() if name in names}
        targets = {name: value for name, value in batch.items() if name not in names}
        if not inputs or not targets:
            return batch, batch
        if len(targets) > 1 and _takes_any(signature):
            rest = f"forward({_listed(names)}, **) may take {_listed([str(name) for name in targets])}"
            raise ValueError(f"batch: got {described(batch)}, accepts (inputs, targets): {rest}")
        return inputs, targets if len(targets) > 1 else next(iter(targets.values()))
    if isinstance(batch, tuple | list) and len(batch) > 1:
        *inputs, targets = batch
        return inputs[0] if len(inputs) == 1 else tuple(inputs), targets
    if isinstance(batch, DataLoader):
        raise ValueError("batch: got a DataLoader, accepts one of its batches: next(iter(loader))")
    if hasattr(batch, "__dict__") and not isinstance(batch, Tensor):
        return batch, batch
    raise ValueError(f"batch: got {described(batch)}, accepts (inputs, targets) or a dict with both")


def call(model: nn.Module, inputs: Any) -> Any:
    """What the model returns for inputs, by the arguments of its `forward`.

    A dict goes by keyword if its keys are arguments, else as one argument. A tuple or list is unpacked if there are
    several arguments without a default; a tuple also if some have one. Anything else is one argument. Raises ValueError
    if they do not fit.
    """
    signature = _signature(model)
    for arguments, keywords in _ways(signature, inputs):
        try:
            signature.bind(*arguments, **keywords)
        except TypeError:
            continue
        return model(*arguments, **keywords)
    raise ValueError(f"inputs: got {described(inputs)}, accepts {_takes(model)}")


def _ways(signature: inspect.Signature, inputs: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """How inputs may be handed over: arguments and keywords, the likeliest first."""
    needed, places = _needed(signature), _places(signature)
    if isinstance(inputs, Mapping):
        by_keyword = {str(name): value for name, value in inputs.items()}
        return [((), by_keyword), *([((inputs,), {})] if 1 in (needed, places) else [])]
    whole = [((inputs,), {})]
    if isinstance(inputs, list | tuple) and needed > 1:
        return [(tuple(inputs), {})]
    if type(inputs) is tuple and places > 1:  # one with names, as a PackedSequence, is a thing of its own
        return [(inputs, {}), *whole]
    return whole


def own_loss(output: Any) -> Any:
    """The loss that a model put into what it returns. Raises ValueError if there is none."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    found = getattr(output, "loss", None)
    if found is None and isinstance(output, Mapping):
        found = output.get("loss")
    if found is None and isinstance(first, Tensor) and first.ndim == 0 and first.is_floating_point():
        found = first
    if found is None:
        raise ValueError(f"model: got {described(output)} and no loss_fn, accepts {OWN_LOSS}")
    return found


def scalar(field: str, loss: Any) -> Tensor:
    """A loss as one number. Raises ValueError, naming the field that it came from, if it is none."""
    if isinstance(loss, Real):
        return torch.tensor(float(loss))
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.is_floating_point():
        hint = ": reduce it, as by .mean()" if isinstance(loss, Tensor) and loss.numel() != 1 else ""
        raise ValueError(f"{field}: got {described(loss)} for a loss, accepts a tensor with one real number{hint}")
    return loss


def described(value: Any) -> str:
    """A value in a few words."""
    kind = type(value).__name__
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping):
        return f"a {kind} with {_listed([str(name) for name in value])}"
    return f"a {kind} of {len(value)}" if isinstance(value, tuple | list) else f"a value of type {kind}"


def _takes(model: nn.Module) -> str:
    return f"what forward({_listed(_names(_signature(model)))}) takes"


def _signature(model: nn.Module) -> inspect.Signature:
    """The arguments of `forward`; of the model's in a wrapper that hands on whatever it gets."""
    signature, inner = inspect.signature(model.forward), bare(model)
    return _signature(inner) if inner is not model and not _names(signature) else signature


def _takes_any(signature: inspect.Signature) -> bool:
    """Whether any name may be given."""
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values())


def _listed(names: list[str]) -> str:
    return ", ".join([*names[:SHOWN], *(["..."] if len(names) > SHOWN else [])])


def _names(signature: inspect.Signature) -> list[str]:
    """The arguments that may be given by name."""
    return [name for name, parameter in signature.parameters.items() if parameter.kind in _NAMED]


def _places(signature: inspect.Signature) -> float:
    """How many arguments may be given by position."""
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    return math.inf if inspect.Parameter.VAR_POSITIONAL in kinds else sum(kind in _POSITIONAL for kind in kinds)


def _needed(signature: inspect.Signature) -> int:
    """How many of those have no default."""
    return sum(p.kind in _POSITIONAL and p.default is p.empty for p in signature.parameters.values())


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
