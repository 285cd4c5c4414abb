"""Recurrence: the gradient over the time steps of nn.RNN, nn.LSTM and nn.GRU, which take all of them in one call.

The input of a call gives way to an alias of it, the same numbers bit for bit. The gradient of the loss with respect to
the alias is measured at each time step.

Legend: T time steps (T' of the longest example), B examples, F features.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from vgexp.numerics import safe_norm, torch_private
from vgexp.watching.hooks.layers import Layer


class TimeProfile(NamedTuple):
    """The gradient that comes back to a recurrent layer's input."""

    layer: Layer
    call: int
    """Which call of that layer within the step, from 0."""
    dx_T: list[float]
    """Its norm over all examples and features, at each time step."""
    ending_T: Sequence[float] = ()
    """The same after the examples were moved so that all end at one step, each at its last that has a gradient, where
    its loss is. Empty where they do so anyway, and of layers that run both ways."""


class Passage:
    """One call of a recurrent layer, and what comes back to its input."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.norms: dict[int, Tensor] = {}
        """By backward pass: the norm at each time step of each example, (T, B), in float64."""

    def returned(self, batch_sizes_T: Tensor | None, time_axis: int, dx: Tensor | None) -> None:
        """The hook for the gradient, None where there is none; of a packed sequence with the examples that each step
        has."""
        if dx is None:
            return
        if batch_sizes_T is not None:
            dx_TBF, _ = pad_packed_sequence(PackedSequence(dx, batch_sizes_T))
        else:
            dx_TBF = dx.movedim(time_axis, 0) if dx.ndim > 2 else dx[:, None]
        steps, examples, features = dx_TBF.shape
        norm_TB = safe_norm(dx_TBF.reshape(-1, 1, features)).double().reshape(steps, examples)
        task = torch_private.graph_task()
        self.norms[task] = torch.hypot(self.norms[task], norm_TB) if task in self.norms else norm_TB


class Recurrence:
    """The recurrent layers of a model, and their calls since the last `forget`."""

    def __init__(self, layers: Sequence[Layer], forced: bool) -> None:
        """`forced`: where a layer is trained and its input requires no gradient, the alias does."""
        self.layers = [layer for layer in layers if isinstance(layer.module, nn.RNNBase)]
        self._forced = forced
        self.forget()

    def forget(self) -> None:
        """Begins a step."""
        self._passages: list[Passage] = []
        self.unmeasured: list[str] = []
        """Layers whose input requires no gradient."""

    def enter(self, layer: Layer, module: nn.RNNBase, args: Any, kwargs: Any) -> Any:
        """The hook before a call: its arguments with an alias in the place of the input."""
        args, kwargs = list(args), dict(kwargs)
        holder, key = (args, 0) if args else (kwargs, "input")
        x = holder.get(key) if isinstance(holder, dict) else holder[key]
        packed = isinstance(x, PackedSequence)
        plain = x.data if packed else x
        if not torch.is_grad_enabled() or not isinstance(plain, Tensor) or torch_private.is_transformed(plain):
            return None
        if plain.requires_grad:
            alias = plain.view_as(plain)
        elif self._forced and not layer.frozen:
            alias = plain.detach().requires_grad_()
        else:
            self.unmeasured += [layer.name] * (layer.name not in self.unmeasured and not layer.frozen)
            return None
        passage = Passage(layer)
        self._passages.append(passage)
        sizes = x.batch_sizes if packed else None
        alias.register_hook(partial(passage.returned, sizes, int(module.batch_first)))
        holder[key] = x._replace(data=alias) if packed else alias
        return tuple(args), kwargs

    def profiles(self, tasks: Collection[int], scale: float | Tensor = 1.0) -> list[TimeProfile]:
        """What the backward passes `tasks` brought, divided by `scale`."""
        found: list[TimeProfile] = []
        calls: Counter[str] = Counter()
        for passage in self._passages:
            norms = [norm_T for task, norm_T in passage.norms.items() if task in tasks]
            if norms:
                norm_TB = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms), dim=0)
                norm_TB, module = norm_TB.cpu() / scale, passage.layer.module
                ending_T = [] if getattr(module, "bidirectional", False) else over_examples(ending_together(norm_TB))
                dx_T = over_examples(norm_TB)
                found.append(TimeProfile(passage.layer, calls[passage.layer.name], dx_T, ending_T))
                calls[passage.layer.name] += 1
        return found


def over_examples(norm_TB: Tensor) -> list[float]:
    """The norm at each time step."""
    return safe_norm(norm_TB[:, None]).tolist() if norm_TB.numel() else []


def ending_together(norm_TB: Tensor) -> Tensor:
    """The examples' norms with the last that is not 0 at one step, and no step beyond it, (T', B); no step at all,
    (0, B), where that is how they are."""
    steps_T = torch.arange(1, len(norm_TB) + 1)
    length_B = ((norm_TB > 0) * steps_T[:, None]).amax(0)
    lengths = length_B[length_B > 0].unique()
    if len(lengths) < 2:
        return norm_TB[:0]
    from_TB = steps_T[: lengths[-1], None] - 1 - (lengths[-1] - length_B)
    return norm_TB.gather(0, from_TB.clamp(min=0)) * (from_TB >= 0)
