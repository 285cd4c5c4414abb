"""The diagnosis of a model from one batch, and models by the name of their factory.

>>> import torch
>>> from torch import nn
>>> hidden = [module for _ in range(20) for module in (nn.Linear(64, 64), nn.Sigmoid())]
>>> model = nn.Sequential(*hidden, nn.Linear(64, 10))
>>> batch = torch.randn(32, 64), torch.randint(10, (32,))
>>> diagnose(model, batch, nn.functional.cross_entropy).verdict
'vanishing'
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from vgexp.config import ConfigError, first_line
from vgexp.watching.diagnosis import Diagnosis
from vgexp.watching.layers import tensors
from vgexp.watching.monitor import Monitor

Problem: TypeAlias = tuple[nn.Module, tuple[Any, Any], Callable[[Any, Any], Tensor]]
"""A model, a batch of inputs and targets, and the loss of outputs and targets."""


def diagnose(model: nn.Module, batch: tuple[Any, Any], loss_fn: Callable[[Any, Any], Tensor]) -> Diagnosis:
    """The diagnosis of a model from one batch (inputs, targets): one forward and one backward pass of
    `loss_fn(model(inputs), targets)`.

    The model stays in its mode, training or evaluation. Its gradients, its buffers and torch's random numbers are
    restored. Raises Unsupported as `watch` does, and whatever the model raises.
    """
    inputs, targets = batch
    with untouched(model), Monitor(model, every=1) as monitor:
        output = model(inputs)
        loss = loss_fn(output, targets)
        loss.backward()
        monitor.step()
        trouble = None if finite(loss) else culprit(model, inputs, output)
        return monitor.diagnosis(trouble)


def load(target: str, input_shape: str | None = None) -> Problem:
    """Model, batch and loss from a factory `package.module:factory`, which returns all three, or a model alone; a model
    by its own name will do.

    For a model alone the batch is normal numbers of `input_shape` (`32,3,64,64`, the batch first), and the loss a
    random projection of the output. Modules are looked for in the working directory too. Raises ConfigError.
    """
    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise ConfigError("MODULE:FACTORY", target, "package.module:factory")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module_name), name)
        made = found() if callable(found) and not isinstance(found, nn.Module) else found
    except Exception as error:  # whatever a module or a factory of somebody's raises
        why = f"{type(error).__name__}: {first_line(error)}"
        raise ConfigError("MODULE:FACTORY", target, f"a factory that can be imported and called ({why})") from error
    if isinstance(made, tuple) and len(made) == 3 and isinstance(made[0], nn.Module):
        return made
    if not isinstance(made, nn.Module):
        raise ConfigError(target, type(made).__name__, "a factory of (model, batch, loss_fn) or of an nn.Module")
    if input_shape is None:
        raise ConfigError("--input-shape", None, "the shape of a batch, as 32,3,64,64: the factory returns a model")
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", input_shape):
        raise ConfigError("--input-shape", input_shape, "integers of at least 1 with commas, as 32,3,64,64")
    shape = [int(size) for size in input_shape.split(",")]
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    parameter = next(made.parameters(), inputs)
    return made, (inputs.to(parameter.device, parameter.dtype), None), random_projection


def random_projection(output: Any, target: None) -> Tensor:
    """A loss without a target: the first tensor of the output times fixed normal numbers, summed over outputs and
    averaged over examples."""
    x = next(tensors(output))
    cotangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x.device)
    return (x * cotangent).real.sum() / len(x) if x.is_complex() else (x * cotangent).sum() / len(x)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restores the model's gradients and buffers, and torch's random numbers, at the end."""
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {parameter.device for parameter, _ in gradients if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=[device.index for device in devices]):
        for parameter, _ in gradients:
            parameter.grad = None
        try:
            yield
        finally:
            for parameter, gradient in gradients:
                parameter.grad = gradient
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def culprit(model: nn.Module, inputs: Any, output: Any) -> tuple[str, str]:
    """Where a forward pass goes wrong, and how, if its loss is not finite.

    It is the first module, in the order in which modules finish, whose inputs are finite and whose output is not."""
    if not finite(inputs):
        return "inputs", "the inputs are not finite"
    found: list[str] = []

    def look(name: str, module: nn.Module, args: Any, kwargs: Any, put_out: Any) -> None:
        if not found and finite([args, kwargs]) and not finite(put_out):
            found.append(f"{name or 'model'} ({type(module).__name__})")

    handles = [m.register_forward_hook(partial(look, name), with_kwargs=True) for name, m in model.named_modules()]
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not finite(output) and found:
        name, _, kind = found[0].partition(" ")
        return name, f"forward: the output of {name} {kind} is not finite, its inputs are"
    return "loss", "the loss is not finite, although the model's output is"


def finite(values: Any) -> bool:
    """Whether all floating-point tensors in nested values are finite."""
    return all(bool(torch.isfinite(x.detach()).all()) for x in tensors(values))
