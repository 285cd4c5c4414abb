"""Zeros: the operation at which a gradient becomes exactly 0.

Coming from the loss that may be the second of two: `relu(clamp(z - 50, -1, 1))` is 0 because of the clamp. So where a
chain of operations without weights leads on from there, a gradient of ones is sent up it.

>>> import torch
>>> x = torch.ones(3, requires_grad=True)
>>> first_zero((torch.tanh(x) - 100).relu().sum())
'Relu'
>>> first_zero((x - 50).clamp(-1, 1).relu().sum())
'Clamp'
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vgexp.watching.hooks.graph import Node, is_norm, operation
from vgexp.watching.tracing.extents import extent


def first_zero(loss: Tensor) -> str:
    """The operation at which a gradient first becomes exactly 0 on its way back from the loss, or the last that makes
    it so in a row of operations with one input each; empty if none does so in all that it hands on."""
    found: list[str] = []
    row: set[Node] = set()

    def ask(node: Node) -> Callable[[Sequence[Tensor | None]], tuple[Tensor | None, ...] | None]:
        return lambda came: tuple(x if x is None else torch.ones_like(x) for x in came) if node in row else None

    def look(node: Node) -> Callable[[Sequence[Tensor | None], Sequence[Tensor | None]], None]:
        def see(handed_on: Sequence[Tensor | None], came: Sequence[Tensor | None]) -> None:
            # A norm over one value puts out its shift alone, which has a gradient all the same.
            inner = handed_on[:1] if is_norm(operation(type(node))) else handed_on
            on = [not extent(x).zero for x in inner if x is not None]
            shuts = bool(on) and not any(on) and any(not extent(x).zero for x in came if x is not None)
            in_row = node in row or (shuts and not found)
            if in_row and shuts:
                found.append(operation(type(node)))
            upstream = [other for other, _ in node.next_functions if other is not None]
            if in_row and len(upstream) == 1:
                row.update(upstream)

        return see

    stack, seen, handles = [loss.grad_fn], {loss.grad_fn}, []
    while stack:
        node: Node = stack.pop()
        if node is not None and node.next_functions:  # what fills a parameter's .grad has none, and outlives the graph
            handles += [node.register_prehook(ask(node)), node.register_hook(look(node))]
            upstream = [other for other, _ in node.next_functions if other is not None and other not in seen]
            seen.update(upstream)
            stack.extend(upstream)
    try:
        loss.backward()
    finally:
        for handle in handles:
            handle.remove()
    return found[-1] if found else ""
