"""Models that cannot be watched, and what to do instead."""

import weakref

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from vgexp.numerics import torch_private

SHARDED = ("FullyShardedDataParallel", "DataParallel", "DeepSpeedEngine")
WATCHED: "weakref.WeakSet[nn.Module]" = weakref.WeakSet()
"""The layers of all models that are watched now."""


class Unsupported(RuntimeError):
    """A model cannot be watched; the message says what to do instead."""


def refuse_unwatchable(model: nn.Module) -> None:
    """Raises Unsupported for what cannot be watched."""
    if not isinstance(model, nn.Module):
        raise Unsupported(f"model: got {type(model).__name__}, accepts an nn.Module")
    for name, module in model.named_modules():
        where = f"{name or 'the model'} ({type(module).__name__})"
        if module in WATCHED:
            raise Unsupported(f"{where} is watched already: close the other monitor first")
        if any(map(is_lazy, [*module.parameters(recurse=False), *module.buffers(recurse=False)])):
            raise Unsupported(f"{where} has no weights yet, as a lazy module: call the model on a batch first")
        if torch_private.is_compiled(module):
            raise Unsupported(f"{where} is compiled already and would not run the hooks: watch it, then compile it")
        if isinstance(module, torch.jit.ScriptModule):
            raise Unsupported(
                f"{where} is a ScriptModule, which runs no tensor hooks: watch the module it was made from"
            )
        if type(module).__name__ in SHARDED:
            raise Unsupported(f"{where} splits weights or runs copies: watch the module inside it, in one process")
    if any(type(parameter).__name__ == "DTensor" for parameter in model.parameters()):
        raise Unsupported("the model's parameters are sharded (DTensor): watch it before it is sharded")
