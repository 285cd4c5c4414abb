"""Drops: the operation at which a gradient becomes small between two calls.

>>> import torch
>>> net = nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 4))
>>> _ = net[0].weight.data.mul_(0.01), net[0].bias.data.zero_()
>>> found = drop(net, lambda: 1e-3 * net(torch.ones(2, 4)).square().sum(), ("2", 0), ("0", 0))
>>> found.operation
'Softmax'
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vgexp.numerics import torch_private, total_norm
from vgexp.watching.hooks.graph import Node, operation
from vgexp.watching.hooks.layers import bare, layers_of, tensors
from vgexp.watching.tracing.places import SKIPPED, shown

PACKAGE = str(Path(__file__).parents[2])
FRAME = re.compile(r'File "(?P<file>.+)", line (?P<number>\d+), in .*\n\s*(?P<text>.*)')
"""A frame as Python prints it."""


class Drop(NamedTuple):
    """Where most of a gradient is lost between two calls."""

    operation: str
    """As autograd's graph has it: `Mul`, `Softmax`."""
    decades: float
    module: str
    """The module that puts out what the operation makes; empty where it runs between modules."""
    line: str
    """`file:number: text`, the line outside torch and this package that called it; empty where there is none."""
    own: bool
    """Whether it is the upper call itself, which multiplies by its weights."""
    running: bool
    """Whether it is a norm that uses running statistics."""


def drop(model: nn.Module, run: Callable[[], Tensor], above: tuple[str, int], below: tuple[str, int]) -> Drop | None:
    """The operation that loses most between two calls, each a layer's name and the number of the call; `run` computes
    the loss. None where no way leads from the one to the other."""
    ends: dict[tuple[str, int], Node] = {}
    calls: Counter[str] = Counter()

    def called(name: str, module: nn.Module, args: Any, output: Any) -> None:
        x = next(tensors(output), None)
        if x is not None and x.requires_grad and not torch_private.in_backward():
            ends[name, calls[name]] = x.grad_fn
            calls[name] += 1

    layers = [layer for layer in layers_of(model) if layer.name in (above[0], below[0])]

    def left(name: str, module: nn.Module, args: Any, output: Any) -> None:
        for x in tensors(output):
            if x.grad_fn is not None:
                modules.setdefault(x.grad_fn, name)

    modules: dict[Node, str] = {}
    handles = [layer.module.register_forward_hook(partial(called, layer.name)) for layer in layers]
    handles += [
        module.register_forward_hook(partial(left, name)) for name, module in bare(model).named_modules() if name
    ]
    try:
        with torch.autograd.set_detect_anomaly(True, check_nan=False):  # so that nodes know the lines that made them
            loss = run()
    finally:
        for handle in handles:
            handle.remove()
    if above not in ends or below not in ends:
        return None
    lost: dict[Node, float] = {}
    ways = between(ends[above], ends[below])
    for node, onward in ways.items():
        node.register_hook(partial(_measure, lost, node, onward))
    loss.backward()
    worst = max(lost, key=lost.__getitem__, default=None)
    if worst is None:
        return None
    running = "BatchNorm" in operation(type(worst)) and not torch_private.saved_number(worst, "training")
    line = _line(worst.metadata.get("traceback_") or ())
    module = modules.get(worst, "")
    return Drop(operation(type(worst)), lost[worst], module, line, worst is ends[above], running)


def between(top: Node, bottom: Node) -> dict[Node, list[int]]:
    """The nodes on the ways from one to another, and the numbers of their inputs that lie there; the last is left
    out."""
    order: list[Node] = []
    stack, seen = [top], {top}
    while stack:
        node = stack.pop()
        order.append(node)
        for upstream, _ in node.next_functions if node is not bottom else ():
            if upstream is not None and upstream not in seen:
                seen.add(upstream)
                stack.append(upstream)
    leads = {bottom}
    below: dict[Node, list[int]] = {}
    for node in sorted(order, key=torch_private.sequence):  # what lies upstream was made before
        onward = [i for i, (upstream, _) in enumerate(node.next_functions) if upstream in leads]
        if onward and node is not bottom:
            leads.add(node)
            below[node] = onward
    return below


def _measure(
    lost: dict[Node, float],
    node: Node,
    onward: Sequence[int],
    handed: Sequence[Tensor | None],
    came: Sequence[Tensor | None],
) -> None:
    into = [float(total_norm(x)) for x in came if x is not None]
    out = [float(total_norm(x)) for i in onward if (x := handed[i]) is not None]
    if into and out and 0 < math.hypot(*out) < math.inf and 0 < math.hypot(*into) < math.inf:
        lost[node] = math.log10(math.hypot(*into) / math.hypot(*out))


def _line(frames: Sequence[str]) -> str:
    for frame in reversed(frames):
        found = FRAME.search(frame)
        if found and found["file"].startswith(PACKAGE):  # whoever asked for the diagnosis called nothing
            return ""
        if found and not found["file"].startswith(SKIPPED):
            return f"{shown(found['file'])}:{found['number']}: {found['text'].strip()}"
    return ""
