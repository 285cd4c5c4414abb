"""Zeros: the operation at which a gradient becomes exactly 0.

>>> import torch
>>> x = torch.ones(3, requires_grad=True)
>>> first_zero((torch.tanh(x) - 100).relu().sum())
'Relu'
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from vgexp.watching.hooks.graph import Node, operation


def first_zero(loss: Tensor) -> str:
    """The operation at which a gradient first becomes exactly 0 on its way back from the loss; empty if none does so
    in all that it hands on."""
    found: list[str] = []

    def look(node: Node) -> Callable[[Sequence[Tensor | None], Sequence[Tensor | None]], None]:
        def see(handed_on: Sequence[Tensor | None], came: Sequence[Tensor | None]) -> None:
            on = [bool(x.any()) for x in handed_on if x is not None]
            if on and not any(on) and any(bool(x.any()) for x in came if x is not None):
                found.append(operation(type(node)))

        return see

    stack, seen = [loss.grad_fn], {loss.grad_fn}
    while stack:
        node: Node = stack.pop()
        if node is not None:
            node.register_hook(look(node))
            upstream = [other for other, _ in node.next_functions if other is not None and other not in seen]
            seen.update(upstream)
            stack.extend(upstream)
    loss.backward()
    return found[0] if found else ""
