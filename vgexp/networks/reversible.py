"""Reversible networks: every layer's input can be rebuilt from its output, so none is stored.

Additive coupling (Gomez et al., 2017): the state is two halves, and layer l adds a branch of one to the other,
(a, b) -> (b, a + r phi(b W + c)), which is undone by (b, q) -> (q - r phi(b W + c), b). A first ordinary layer makes
the state out of the input, a linear readout reads it.

Legend: M members, B batch, I inputs, H half the width.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vgexp.networks.activations import Activation
from vgexp.networks.checkpoint import State
from vgexp.networks.layers import Linear, Observer, Update


def couple(
    layer: Linear,
    phi: Activation,
    branch: float,
    observer: Observer | None,
    update: Update | None,
    state: State,
    first: bool,
) -> State:
    """One coupling: (a, b) -> (b, a + branch phi(b W + c))."""
    a_MBH, b_MBH = state
    z_MBH = layer(b_MBH, observer, update)
    h_MBH = a_MBH + branch * phi.phi(z_MBH)
    if first and observer is not None:
        observer.forward(layer, z_MBH, h_MBH)
    return b_MBH, h_MBH


def invert(
    layers: Sequence[Linear],
    phi: Activation,
    branch: float,
    observer: Observer | None,
    update: Update | None,
    state: State,
) -> State:
    """All couplings, whose backward pass rebuilds the states: memory does not grow with depth."""
    couplings = [(layer, partial(couple, layer, phi, branch, observer, update)) for layer in layers]
    return _Invert.apply(couplings, phi, branch, observer, update, *state)  # pyright: ignore[reportReturnType]


class _Invert(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, couplings: list[Any], phi: Activation, branch: float, observer: Any, update: Any, *state: Tensor
    ) -> Any:
        ctx.phi, ctx.branch, ctx.observer, ctx.update = phi, branch, observer, update
        ctx.layers = [layer for layer, _ in couplings]
        keep = observer is not None and observer.keeps
        ctx.kept = []  # the true halves, only to measure how well they are rebuilt
        for _, coupling in couplings:
            if keep:
                ctx.kept.append(state[0])
            state = coupling(state, True)
        ctx.state = state
        return tuple(part.view_as(part) for part in state)  # autograd writes its graph into what is returned

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        (b_MBH, q_MBH), ctx.state = ctx.state, None  # so that a second backward fails, as everywhere
        db_MBH, dq_MBH = gradient
        for layer in reversed(ctx.layers):
            inner_MBH = b_MBH.detach().requires_grad_()
            with torch.enable_grad():
                branch_MBH = ctx.branch * ctx.phi.phi(layer(inner_MBH, ctx.observer, ctx.update))
            a_MBH = q_MBH - branch_MBH.detach()
            if ctx.kept:
                ctx.observer.rebuilt(layer, a_MBH, ctx.kept.pop())
            torch.autograd.backward(branch_MBH, dq_MBH)
            assert inner_MBH.grad is not None
            db_MBH, dq_MBH = dq_MBH, db_MBH + inner_MBH.grad
            b_MBH, q_MBH = a_MBH, b_MBH
        return None, None, None, None, None, db_MBH, dq_MBH
