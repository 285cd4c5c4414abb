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
import inspect
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from vgexp.config import ConfigError, outside
from vgexp.watching.closer import look, look_closer
from vgexp.watching.hooks.layers import tensors
from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.tracing.batches import described, outcome
from vgexp.watching.tracing.breaks import first_break
from vgexp.watching.tracing.state import modules_of, untouched
from vgexp.watching.trials import rescaled, tried
from vgexp.watching.verdicts.diagnosis import Diagnosis, conclude
from vgexp.watching.verdicts.evidence import Closer, Evidence

Problem: TypeAlias = tuple[nn.Module, Any, Callable[[Any, Any], Any] | None]
"""A model, a batch as `diagnose` takes it, and the loss of outputs and targets, None where the model has its own."""


def diagnose(model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Any] | None = None) -> Diagnosis:
    """The diagnosis of a model from one batch (inputs, targets): a forward and a backward pass of
    `loss_fn(model(inputs), targets)`, and more of them where something is found.

    Batches are taken as people have them, and without a `loss_fn` the model says its loss itself: see
    `vgexp.watching.tracing.batches`. Remedies that name a number are tried on the batch.

    The model stays in its mode, training or evaluation. Its gradients and buffers, the tensors that its modules have as
    attributes, the weights that a trial has scaled, and the random numbers of torch, numpy and Python are restored, and
    so is a loss that is a module; the batch is not changed. What the model or a hook of its own writes into weights
    stays. Raises Unsupported as `watch` does, ValueError for a batch or a loss that is none, and whatever the model and
    the loss raise, unless that is because of a number that is not finite: that is a diagnosis.
    """

    def run() -> Tensor:
        return outcome(model, batch, loss_fn).loss

    def again(factor: float) -> Diagnosis:
        other = rescaled(model, batch, factor, own_loss=loss_fn is None)
        evidence, _ = look(model, lambda: outcome(model, other, loss_fn).loss)
        return conclude([evidence])

    with untouched(*modules_of(loss_fn)):
        try:
            evidence, sound = look(model, run)
        except Unsupported:
            raise
        except Exception:  # whatever a model or a loss of somebody's raises
            broken = None
            with suppress(Exception):
                broken = first_break(model, run)
            if broken is None:
                raise
            return conclude([Evidence(0, [], {}, {}, [], closer=Closer(broken))])
        evidence = look_closer(model, batch, loss_fn, evidence, sound)
        return tried(conclude([evidence]), model, again)


def load(target: str, input_shape: str | None = None) -> Problem:
    """Model, batch and loss from a factory `package.module:factory`, which returns all three, the first two where the
    model returns its loss, or a model alone; a model by its own name will do.

    For a model alone the batch is normal numbers of `input_shape` (`32,3,64,64`, the batch first), and the loss a
    random projection of the output. Modules are looked for in the working directory too. Raises ConfigError.
    """
    module_name, _, name = target.partition(":")
    if not (name and all(part.isidentifier() for part in module_name.split("."))):
        raise ConfigError("MODULE:FACTORY", target, "package.module:factory, the module as Python imports it")
    with outside("MODULE:FACTORY", "a factory that can be imported and called", target):
        sys.path.insert(0, str(Path.cwd()))
        found = getattr(importlib.import_module(module_name), name)
        made = found() if callable(found) and not isinstance(found, nn.Module) else found
    if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[0], nn.Module):
        if input_shape is not None:
            raise ConfigError("--input-shape", input_shape, "nothing: the factory returns a batch of its own")
        return made[0], made[1], made[2] if len(made) == 3 else None
    if not isinstance(made, nn.Module):
        if inspect.iscoroutine(made):
            made.close()  # or Python warns that nobody waited for it
        accepted = "a factory of (model, batch, loss_fn), of (model, batch) or of an nn.Module"
        raise ConfigError(target, type(made).__name__, accepted)
    if input_shape is None:
        raise ConfigError("--input-shape", None, "the shape of a batch, as 32,3,64,64: the factory returns a model")
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", input_shape):
        raise ConfigError("--input-shape", input_shape, "integers of at least 1 with commas, as 32,3,64,64")
    with outside("--input-shape", "a batch that fits into memory", input_shape):
        shape = [int(size) for size in input_shape.split(",")]
        inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    parameter = next(made.parameters(), inputs)
    return made, (inputs.to(parameter.device, parameter.dtype), None), random_projection


def random_projection(output: Any, target: None) -> Tensor:
    """A loss without a target: the first tensor of the output times fixed normal numbers, summed over outputs and
    averaged over examples."""
    x = next(tensors(output), None)
    if x is None:
        raise ConfigError("model", described(output), "an output with a tensor of floating-point numbers")
    cotangent = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x.device)
    projection = (x * cotangent).sum() / (len(x) if x.ndim else 1)
    return projection.real if x.is_complex() else projection
