"""Places: the module that runs and the line that called, read off Python's stack."""

import inspect
import linecache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import torch
import torch.autograd.graph
from torch import nn

from vgexp.numerics import torch_private
from vgexp.watching.hooks.layers import bare

SKIPPED = (str(Path(torch.__file__).parent), str(Path(__file__).parents[2]), "<frozen")
"""Frames of torch, of this package and of Python's own are not where anything was called."""
ENGINE = torch.autograd.graph.__file__
APPLY = torch.autograd.Function.apply.__func__.__code__
DECORATED = torch.no_grad()(lambda: None).__code__.co_name
"""The function of torch that runs what it decorates in a context, as no_grad: what is called there is the decorator."""


class Place(NamedTuple):
    """Where an operation runs."""

    module: str
    """The innermost module that runs, the model itself by its class; empty outside, as in a loss."""
    line: str
    """The first line outside torch and this package: `file:number: text`; empty where there is none."""
    function: str = ""
    """The autograd.Function whose forward pass runs."""


class Places:
    """Finds places in a model's passes."""

    def __init__(self, model: nn.Module) -> None:
        self._names = {id(module): name or type(module).__name__ for name, module in bare(model).named_modules()}

    def here(self, bottom: FrameType | None = None) -> Place:
        """Where the caller runs, as far as the frame `bottom`, and within a backward pass as far as autograd's engine:
        whoever started that pass is not where its operations were called."""
        frame, module, line, function = inspect.currentframe(), "", "", ""
        inside = torch_private.in_backward()
        while frame is not None and frame is not bottom:
            file, number = frame.f_code.co_filename, frame.f_lineno
            if inside and file == ENGINE:
                break
            if frame.f_code.co_name == DECORATED and (code := getattr(frame.f_locals.get("func"), "__code__", None)):
                file, number = code.co_filename, code.co_firstlineno
            if not line and not file.startswith(SKIPPED):
                line = _line(file, number)
            if not module:
                module = self._names.get(id(frame.f_locals.get("self")), "")
            if not function and frame.f_code is APPLY:
                function = frame.f_locals["cls"].__name__
            frame = frame.f_back
        return Place(module, line, function)


def shown(file: str) -> str:
    """A path, from the working directory where it lies below."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _line(file: str, number: int) -> str:
    text = linecache.getline(file, number).strip()
    return f"{shown(file)}:{number}" + (f": {text}" if text else "")
