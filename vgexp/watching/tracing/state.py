"""The state of a model that looking at it must not change."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vgexp.numerics import torch_private

NOTHING = object()
"""In place of an attribute that is not there."""


@contextmanager
def untouched(*models: nn.Module) -> Iterator[None]:
    """Restores at the end the models' gradients and buffers, the tensors that their modules have as attributes, and the
    random numbers of torch, numpy and Python."""
    modules = [module for model in models for module in model.modules()]
    gradients = [(parameter, parameter.grad) for model in models for parameter in model.parameters()]
    buffers = [(buffer, buffer.clone()) for model in models for buffer in model.buffers()]
    plain = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]  # which registers nothing
    registered: list[tuple[Any, Any]] = [
        (now, now.copy()) for module in plain for now in torch_private.registered(module)
    ]
    attributes = [(vars(module), dict(vars(module))) for module in modules]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what a model draws from
    with torch.random.fork_rng(devices=[device.index for model in models for device in _cuda(model)]):
        for parameter, _ in gradients:
            parameter.grad = None
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            for now, before in attributes:
                _restore(now, before)
            for now, before in registered:
                now.clear()
                now.update(before)
            for parameter, gradient in gradients:
                parameter.grad = gradient
            with torch.no_grad():
                for buffer, before in buffers:
                    if not torch.equal(buffer, before):  # a graph that waits for its backward pass may need it as it is
                        buffer.copy_(before)


def modules_of(function: Any) -> list[nn.Module]:
    """The modules whose state a call of a function may change, as far as can be seen: itself, or what it is a method
    of, also where some of its arguments are given."""
    inner = function.func if isinstance(function, partial) else function
    return [module for module in (inner, getattr(inner, "__self__", None)) if isinstance(module, nn.Module)]


def seed(model: nn.Module, number: int) -> None:
    """Seeds torch's random numbers, of the host and of the model's devices: what `untouched` restores."""
    torch.default_generator.manual_seed(number)
    for device in _cuda(model):
        with torch.cuda.device(device):
            torch.cuda.manual_seed(number)


def _cuda(model: nn.Module) -> set[torch.device]:
    return {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}


def _restore(now: dict[str, object], before: dict[str, object]) -> None:
    """Puts back the tensors among a module's attributes: what is cached, or a state on which a graph hangs."""
    for name in {**before, **now}:
        old, new = before.get(name, NOTHING), now.get(name, NOTHING)
        if old is new or not (isinstance(old, Tensor) or isinstance(new, Tensor)):
            continue
        if old is NOTHING:
            del now[name]
        else:
            now[name] = old
