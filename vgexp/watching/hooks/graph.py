"""The graph of autograd, read for activations: what ran between the layers of any model.

An activation, be it a module or a function, in place or not, leaves a node in the graph, and the node saves its input
or its result. So activations are found after the forward pass, without a hook. A layer's output is marked in the graph:
the mark says whose output an activation took.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from vgexp.networks import ACTIVATIONS
from vgexp.networks.activations import SELU_ALPHA, SELU_SCALE, Activation, leaky_relu
from vgexp.numerics import SATURATED, torch_private

Node = Any
"""torch.autograd.graph.Node and the nodes of C++, which share no base."""
MARK = "vgexp"


@dataclass(frozen=True)
class ActivationNode:
    """How an activation shows in the graph of autograd."""

    name: str
    """As in ACTIVATIONS, where theory knows it."""
    saved: str
    """What its node saves: `self`, its input, or `result`."""
    h: Callable[[Tensor], Tensor]
    """Its result, from what is saved."""
    off: Callable[[Any], Any]
    """Where |phi'| is below 4 % of its maximum, from what is saved: a tensor, or an array of numpy, which compares in
    half the time."""
    smooth: bool = True
    """False for piecewise linear ones: their units are off (phi' = 0), never saturated."""
    own: Activation | None = None
    """What it is with numbers of its own, as a slope; None where its name says all."""

    @property
    def law(self) -> Activation | None:
        """What theory knows it as."""
        return self.own or ACTIVATIONS.get(self.name)


def _same(x: Tensor) -> Tensor:
    return x


def _smooth(name: str, own: Activation | None = None) -> ActivationNode:
    law = own or ACTIVATIONS[name]
    return ActivationNode(name, "self", law.phi, _flat(law.slope, law.max_slope), own=own)


def _flat(slope: Callable[[Tensor], Tensor], most: float) -> Callable[[Any], Any]:
    return lambda saved: slope(torch.as_tensor(saved)).abs() < SATURATED * most


@cache
def _leaky_relu(negative_slope: float, in_place: bool = False) -> ActivationNode:
    """In place the result says what the input would: it has its sign."""
    saved, h = ("result", _same) if in_place else ("self", lambda z: F.leaky_relu(z, negative_slope))
    off = (lambda x: abs(x) < 0) if negative_slope else (lambda x: x <= 0)
    return ActivationNode("leaky_relu", saved, h, off, smooth=False, own=leaky_relu(negative_slope))


@cache
def _elu(name: str, alpha: float, scale: float, steepness: float, in_place: bool = False) -> ActivationNode:
    """scale (max(0, z) + min(0, alpha (exp(steepness z) - 1))): ELU, and as it CELU and SELU. In place the slope below
    0 comes of the result h: steepness (h + scale alpha)."""
    law = Activation(
        lambda z: torch.ops.aten.elu(z, alpha, scale, steepness),
        lambda z: scale * torch.where(z > 0, 1.0, alpha * steepness * torch.exp(steepness * z.clamp(max=0))),
        max_slope=scale * max(1.0, abs(alpha * steepness)),
    )
    if not in_place:
        return _smooth(name, law)
    off = _flat(lambda h: torch.where(h > 0, scale, steepness * (h + scale * alpha)), law.max_slope)
    return ActivationNode(name, "result", _same, off, own=law)


@cache
def _softplus(beta: float, threshold: float) -> ActivationNode:
    """log(1 + exp(beta z)) / beta; z where beta z is above the threshold."""
    law = Activation(
        lambda z: F.softplus(z, beta, threshold),
        lambda z: torch.where(beta * z > threshold, 1.0, torch.sigmoid(beta * z)),
    )
    return _smooth("softplus", law)


TANH_OFF = math.sqrt(1 - SATURATED)
SIGMOID_OFF = math.sqrt(0.25 - SATURATED / 4)
CLAMP = ActivationNode("relu", "self", lambda z: z.clamp(min=0), lambda z: z <= 0, smooth=False)
NORMS = ("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RmsNorm", "RMSNorm")
"""As operations have them in their names."""
ACTIVATION_NODES: dict[str, ActivationNode] = {
    "Relu": ActivationNode("relu", "result", _same, lambda h: h <= 0, smooth=False),
    "Clamp": CLAMP,
    "ClampMin": CLAMP,
    "Threshold": CLAMP,
    "LeakyRelu": _leaky_relu(0.01),
    "Hardtanh": ActivationNode("hardtanh", "self", F.hardtanh, lambda z: abs(z) >= 1, smooth=False),
    "Relu6": ActivationNode("relu6", "self", F.relu6, lambda z: abs(z - 3) >= 3, smooth=False),
    "Hardswish": ActivationNode("hardswish", "self", F.hardswish, lambda z: z <= -3, smooth=False),
    "Hardsigmoid": ActivationNode("hardsigmoid", "self", F.hardsigmoid, lambda z: abs(z) >= 3, smooth=False),
    "Tanh": ActivationNode("tanh", "result", _same, lambda h: abs(h) > TANH_OFF),
    "Sigmoid": ActivationNode("sigmoid", "result", _same, lambda h: abs(h - 0.5) > SIGMOID_OFF),
    "Elu": _elu("elu", 1.0, 1.0, 1.0),
    "Selu": _elu("selu", SELU_ALPHA, SELU_SCALE, 1.0),
    "Celu": _elu("celu", 1.0, 1.0, 1.0),
    "Softplus": _softplus(1.0, 20.0),
    **{name.title(): _smooth(name) for name in ("erf", "gelu", "silu")},
}
"""By the name of the node, less its `Backward`; with the numbers that torch gives it."""

BOUNDED = {(0, None): "Clamp", (0, 6): "Relu6", (-1, 1): "Hardtanh"}


def _numbers(node: Node, *names: str) -> tuple[float, ...]:
    """Numbers that a node always has."""
    return tuple(float(torch_private.saved_number(node, name) or 0.0) for name in names)


def _in_place(node: Node) -> bool:
    return torch_private.saves(node, "result")


def _clamp(node: Node, low: str, high: str) -> ActivationNode | None:
    bounds = torch_private.saved_number(node, low), torch_private.saved_number(node, high)
    return ACTIVATION_NODES.get(BOUNDED.get(bounds, ""))


def _elu_or_selu(node: Node) -> ActivationNode:
    alpha, scale, steepness = _numbers(node, "alpha", "scale", "input_scale")
    return _elu("elu" if scale == 1 else "selu", alpha, scale, steepness, _in_place(node))


def _celu(node: Node) -> ActivationNode:
    (alpha,) = _numbers(node, "alpha")
    return _elu("celu", alpha, 1.0, 1 / alpha, _in_place(node))


DEPENDS: dict[str, Callable[[Node], ActivationNode | None]] = {
    "LeakyRelu": lambda node: _leaky_relu(*_numbers(node, "negative_slope"), _in_place(node)),
    "Elu": _elu_or_selu,
    "Celu": _celu,
    "Softplus": lambda node: _softplus(*_numbers(node, "beta", "threshold")),
    "Hardtanh": lambda node: _clamp(node, "min_val", "max_val"),
    "Clamp": lambda node: _clamp(node, "min", "max"),
    "ClampMin": lambda node: CLAMP if torch_private.saved_number(node, "min") == 0 else None,
    "Threshold": lambda node: CLAMP if torch_private.saved_number(node, "threshold") == 0 else None,
}
"""Nodes that may be one activation or another, or none: their numbers tell which, and what it computes."""
_NAMES: dict[type, str] = {}
WEIGHTS = {"AccumulateGrad", "TBackward0"}
"""Nodes that lead to weights, not to activations."""


def operation(kind: type) -> str:
    """The operation of a kind of node, `Relu` for `ReluBackward0`."""
    return kind.__name__.rstrip("0123456789").removesuffix("Backward")


def is_norm(operation: str) -> bool:
    """Whether an operation takes what it is given to zero mean, unit size, or both."""
    return any(norm in operation for norm in NORMS)


def mark(output: Tensor, source: object) -> Any:
    """Writes into the graph that `output` is what `source` put out. A mark that is there already stays. Returns the
    mark that holds."""
    node: Node = output.grad_fn
    return source if node is None else node.metadata.setdefault(MARK, source)


def recognized(node: Node) -> ActivationNode | None:
    """The activation that a node of the graph is; None for any other operation."""
    name = _NAMES.get(type(node))
    if name is None:
        name, _, number = type(node).__name__.partition("Backward")
        # A node written in Python has no number behind `Backward`, and may have any name.
        name = _NAMES[type(node)] = name if number and (name in ACTIVATION_NODES or name in DEPENDS) else ""
    return DEPENDS[name](node) if name in DEPENDS else ACTIVATION_NODES.get(name)


def activations(outputs: Iterable[Tensor], own: Callable[[Any], bool]) -> Iterator[tuple[ActivationNode, Tensor, Any]]:
    """Every activation upstream of `outputs`, with what its node saved and the mark of the layer whose output it took.

    Stops at marks that are not `own`: those parts of the graph were read before.
    """
    stack: list[Node] = [tensor.grad_fn for tensor in outputs if tensor.grad_fn is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        found = recognized(node)
        if found is not None and (saved := torch_private.saved_tensor(node, found.saved)) is not None:
            yield found, saved, source(node)
        for upstream, _ in node.next_functions:
            if upstream is None or upstream in seen or type(upstream).__name__ in WEIGHTS:
                continue
            marked = upstream.metadata.get(MARK)
            if marked is None or own(marked):
                seen.add(upstream)
                stack.append(upstream)


def source(node: Node) -> Any:
    """The mark nearest upstream of a node, None where there is none."""
    if len(node.next_functions) == 1 and (near := node.next_functions[0][0]) is not None and MARK in near.metadata:
        return near.metadata[MARK]
    level, seen = [node], {node}
    while level:
        upstream = [parent for child in level for parent, _ in child.next_functions if parent is not None]
        marks = [parent.metadata[MARK] for parent in upstream if MARK in parent.metadata]
        if marks:
            return marks[-1]
        level = [parent for parent in upstream if parent not in seen]
        seen.update(level)
    return None
