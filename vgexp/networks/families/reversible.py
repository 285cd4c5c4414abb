"""Reversible networks: every layer's input can be rebuilt from its output, so none has to be stored.

Additive coupling (Gomez et al., 2017): the state is two halves, and layer l adds a branch of one to the other,
(a, b) -> (b, a + r phi(b W + c)), which is undone by (b, q) -> (q - r phi(b W + c), b). A first ordinary layer makes
the state out of the input, a linear readout reads it. r is `model.branch`.

Legend: M members, B batch, N units, H half of them.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vgexp.config import ConfigError, Run
from vgexp.networks.blueprints import Blueprint, law, scales
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, Pass


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """A first layer, a square matrix on half the units a coupling, a readout."""
    width, depth = run.model.width, run.model.depth
    return [
        Blueprint(1, "", inputs, width, law(run, 1)),
        *(
            part
            for layer in range(2, depth + 1)
            for part in (Blueprint(layer, "", width // 2, width // 2, law(run, layer)), *scales(run, layer))
        ),
        Blueprint(depth + 1, "", width, classes, law(run, depth + 1)),
    ]


def stem(p: Pass, layer: int, state: State) -> State:
    """(a, b) = phi(x W + c), halved."""
    return p.phi(layer, p.linear(layer, state[0])).chunk(2, dim=-1)


def branch(p: Pass, layer: int, b_MBH: Tensor) -> Tensor:
    """r phi(b W + c)."""
    return p.scaled(layer, p.phi(layer, p.linear(layer, b_MBH)))


def block(p: Pass, layer: int, state: State) -> State:
    """(a, b) -> (b, a + r phi(b W + c))."""
    a_MBH, b_MBH = state
    # A view, so that the gradient of this state is told apart from that of the state below, which has b too.
    return b_MBH.view_as(b_MBH), a_MBH + branch(p, layer, b_MBH)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """(a, b) W + c."""
    return p.linear(layer, torch.cat(state, dim=-1))


def invert(p: Pass, layers: Sequence[int], state: State) -> State:
    """Couplings whose backward pass rebuilds the states: memory does not grow with depth."""
    return _Invert.apply(p, layers, *state)  # pyright: ignore[reportReturnType]


class _Invert(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, p: Pass, layers: Sequence[int], *state: Tensor) -> Any:
        ctx.layers, ctx.again = layers, replace(p, first=False)
        keep = p.observer is not None and p.observer.keeps
        ctx.kept = []  # the true halves, only to measure how well they are rebuilt
        for layer in layers:
            if keep:
                ctx.kept.append(state[0])
            state = p.network.run_layer(p, layer, state)
        ctx.state = state
        return tuple(half.view_as(half) for half in state)  # autograd writes its graph into what is returned

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        (b_MBH, q_MBH), ctx.state = ctx.state, None  # so that a second backward fails, as everywhere
        db_MBH, dq_MBH = gradient
        observer = ctx.again.observer
        for layer in reversed(ctx.layers):
            if observer is not None:
                observer.state_gradient(layer, db_MBH)
                observer.state_gradient(layer, dq_MBH)
            inner_MBH = b_MBH.detach().requires_grad_()
            with torch.enable_grad():
                branch_MBH = branch(ctx.again, layer, inner_MBH)
            a_MBH = q_MBH - branch_MBH.detach()
            if observer is not None and ctx.kept:
                observer.rebuilt(layer, a_MBH, ctx.kept.pop())
            torch.autograd.backward(branch_MBH, dq_MBH)
            assert inner_MBH.grad is not None
            db_MBH, dq_MBH = dq_MBH, db_MBH + inner_MBH.grad
            b_MBH, q_MBH = a_MBH, b_MBH
        return None, None, db_MBH, dq_MBH


def require(run: Run) -> None:
    """The state splits into halves."""
    width = run.model.width
    if not isinstance(width, int) or width % 2:
        raise ConfigError("model.width", width, "an even integer: reversible layers split it into halves")
    if run.init.name == "mup" and run.init.base_width % 2:
        raise ConfigError("init.base_width", run.init.base_width, "an even integer with model.family=reversible")


FAMILY = Family(
    blueprints=blueprints,
    stem=stem,
    block=block,
    readout=readout,
    reads=frozenset({"model.branch"}),
    signal="dx",
    stored=1,
    invert=invert,
    require=require,
)
