"""What is true of a network's gradients, in float64 and without vgexp: `autograd.grad` with respect to every output.

The rule of verdicts, written plainly and slowly: norms of dz, pooled by depth along the graph from the loss.

Legend: C calls, D depths.
"""

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from .learning import cast, dtype_of

NEAR = 0.1
"""A number that is closer than this to a bound of the rule may fall on either side of it."""


@dataclass
class Call:
    """One call of a layer."""

    name: str
    module: nn.Module
    outputs: list
    """What it put out and has a gradient: the first of them is its signal, the longest way from any its depth."""
    depth: int = -1
    """Calls strictly between it and the loss along the longest way; -1 where no loss depends on it."""
    source: bool = True
    """Whether no call lies further from the loss."""
    signal: float = 0.0
    fed: bool = True
    """Whether it was called with a tensor: a table of biases is not."""


@dataclass
class Truth:
    """What is true, as numbers and names."""

    fall: float = 0.0
    """Decades lost between the loss and the sources; negative when the gradient grows."""
    cliff: float = 0.0
    """The largest drop between neighbouring depths, below what the first got, that is not made good further down."""
    spike: float = 0.0
    """The same where a peak above the first depth counts too."""
    peak: float = 0.0
    """Decades by which any depth gets more than the first."""
    branch: float = 0.0
    """The largest fall to one source of the deeper half."""
    time: float = 0.0
    """The largest fall between the calls of one layer that is called at five depths or more, or over the time steps of
    one that takes them all at once; infinite where it ends in zeros."""
    own_time: float = 0.0
    """The same over time steps, in the model's own type: its zeros cut off what a saturated gate or softmax lets by."""
    broken: bool = False
    """Something is not finite in the model's own type."""
    learned: bool = False
    """The loss is exactly 0 there: nothing is wrong with a gradient of 0."""
    missing: list[str] = field(default_factory=list)
    """Trainable parameters without a gradient."""
    zero: list[str] = field(default_factory=list)
    """Trainable layers that ran and whose gradient is exactly 0, and may not be."""
    lost: list[str] = field(default_factory=list)
    """Layers whose gradient is exactly 0 in the model's own type alone."""
    rounded: float = 0.0
    """The largest share of a layer's ||dz|| in float64 that the model's own type has lost."""
    saturated: float = 0.0
    """The largest share of a sigmoid's or tanh's entries with a derivative below 4 % of its maximum."""
    silent: float = 0.0
    """The largest share of a rectifier's units that are off on every example."""

    def needs(self):
        """The verdicts of which one has to be given; empty where none must."""
        if self.broken:
            return {"nan"}
        found = {"disconnected"} if self.missing else set()
        found |= {"dead"} if self.zero else set()
        found |= {"cliff"} if self.cliff > 2 + NEAR else set()
        found |= {"vanishing"} if self.fall > 2 + NEAR or max(self.branch, self.time) > 4 + NEAR else set()
        found |= {"exploding"} if self.fall < -2 - NEAR else set()
        found |= {"vanishing", "dead", "cliff"} if self.lost else set()
        return found

    def allows(self):
        """The verdicts that are true."""
        grown = {"exploding"} if self.fall < NEAR - 2 or self.peak > 2 - NEAR else set()
        if self.broken:  # a gradient that grows until its type cannot hold it is both
            return self.needs() | grown
        allowed = self.needs()
        if not allowed:
            allowed |= {"healthy"} if abs(self.fall) < 1.5 + NEAR else set()
            allowed |= {"undecided"} if abs(self.fall) > 1.5 - NEAR else set()
            allowed |= {"saturated"} if self.saturated > 0.5 else set()
            allowed |= {"silent"} if self.silent > 0.5 else set()
        allowed |= {"healthy"} if self.learned else set()
        allowed |= {"vanishing"} if self.rounded > 0.25 else set()
        allowed |= {"cliff"} if self.spike > 2 - NEAR else set()
        allowed |= {"vanishing"} if self.fall > 2 - NEAR else set()
        allowed |= {"vanishing"} if max(self.branch, self.time, self.own_time) > 4 - NEAR else set()
        return allowed | grown


def truth(model, batch, loss_fn):
    """What is true of one batch. The model is not touched: copies run."""
    own, double = gradients(model, batch, loss_fn), gradients(cast_copy(model), cast(batch, torch.float64), loss_fn)
    found = Truth(broken=not own.finite, learned=own.loss == 0)
    trainable = {name: p for name, p in double.model.named_parameters() if p.requires_grad}
    found.missing = [name for name in trainable if double.dw.get(name) is None]
    if not own.finite:
        if double.finite:
            rule(found, double.calls)
        return found
    zero = exact_zeros(double)
    found.zero = zero if not excused(double, zero) else []
    found.lost = sorted(set(exact_zeros(own)) - set(zero)) if dtype_of(model) != torch.float64 else []
    found.rounded = max(
        [0.0, *(1 - a.signal / b.signal for a, b in zip(own.calls, double.calls, strict=True) if b.signal)]
    )
    found.saturated, found.silent = double.saturated, double.silent
    rule(found, double.calls)
    found.time, found.own_time = max([found.time, *double.times]), max([0.0, *own.times])
    return found


def rule(found, calls):
    """The fall, the cliff and the branch from the calls' signals and depths."""
    power_D = {}
    for call in calls:
        if call.depth >= 0 and call.signal > 0:
            power_D[call.depth] = power_D.get(call.depth, 0.0) + call.signal**2
    if len(power_D) < 2:
        return
    y_D = {d: math.log10(power) / 2 for d, power in sorted(power_D.items())}
    top, deepest = y_D[min(y_D)], max(call.depth for call in calls)
    sources = [call for call in calls if call.source and call.fed and call.signal > 0]
    ends = [call for call in sources if 2 * call.depth >= deepest]
    if ends:
        found.fall = top - math.log10(sum(call.signal**2 for call in ends)) / 2
        found.branch = top - math.log10(min(call.signal for call in ends))
    envelope_D = []
    for y in reversed(list(y_D.values())):
        envelope_D.append(max(y, envelope_D[-1]) if envelope_D else y)
    envelope_D.reverse()
    found.cliff = max(max(min(a, top) - b, 0.0) for a, b in zip(envelope_D, envelope_D[1:], strict=False))
    found.spike = max(a - b for a, b in zip(envelope_D, envelope_D[1:], strict=False))
    found.peak = envelope_D[0] - top
    for name in {call.name for call in calls}:
        own = {call.depth: call.signal for call in calls if call.name == name and call.signal > 0}
        if len(own) >= 5:
            found.time = max(found.time, math.log10(own[min(own)] / own[max(own)]))


@dataclass
class Gradients:
    """One pass of a copy."""

    model: nn.Module
    calls: list[Call]
    dw: dict
    nodes: list
    """Those of the graph, from the loss on, none before one that leads to it."""
    loss: float
    finite: bool
    saturated: float
    silent: float
    times: list[float]
    """The fall over the time steps of each call of a recurrent layer."""


def cast_copy(model):
    return cast(copy.deepcopy(model), torch.float64)


def gradients(model, batch, loss_fn):
    """All calls of a copy of the model with their depths and signals, and the gradients of its parameters."""
    model = copy.deepcopy(model)
    calls, flat, off, made, entered = [], [0.0], [0.0], {}, []

    def enter(module, args):
        x, *others = args
        if torch.is_tensor(x) and torch.is_grad_enabled():
            entered.append((module, x.clone() if x.requires_grad else x.clone().requires_grad_()))
            return (entered[-1][1], *others)

    def see(name):
        def hook(module, args, kwargs, output):
            new = [x for x in tree_leaves(output) if torch.is_tensor(x) and x.requires_grad and x.is_floating_point()]
            if new and not any(id(x) in made for x in new):
                calls.append(Call(name, module, new, fed=any(map(torch.is_tensor, tree_leaves([args, kwargs])))))
            copied = tree_map(lambda x: x.clone() if any(x is y for y in new) else x, output)
            made.update((id(x), x) for x in tree_leaves(copied) if torch.is_tensor(x))
            return copied  # what comes after may change its input in place

        return hook

    def look(module, args, output):
        if isinstance(module, (nn.Sigmoid, nn.Tanh)):
            h = output.detach().double()
            slope = 4 * h * (1 - h) if isinstance(module, nn.Sigmoid) else 1 - h**2
            flat.append(float((slope < 0.04).double().mean()))
        else:
            units = output.detach().movedim(1 if output.ndim == 4 else -1, 0).flatten(1)
            off.append(float((units <= 0).all(1).double().mean()))

    for name, module in model.named_modules():
        if any(p.ndim > 1 for p in module.parameters(recurse=False)) and "parametrizations" not in name:
            module.register_forward_hook(see(name), with_kwargs=True)
        if isinstance(module, nn.RNNBase):
            module.register_forward_pre_hook(enter)
        elif isinstance(module, (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.ReLU6)):
            module.register_forward_hook(look)
    inputs, targets = batch
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        loss = loss_fn(model(inputs), targets)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    outputs = [*(x for call in calls for x in call.outputs), *(x for _, x in entered)]
    if loss.requires_grad:
        found = torch.autograd.grad(loss, [*outputs, *named.values()], allow_unused=True)
    else:
        found = [None] * (len(outputs) + len(named))
    dz, dw = iter(found[: len(outputs)]), dict(zip(named, found[len(outputs) :], strict=True))
    for call in calls:
        pairs = [(x, d) for x, d in zip(call.outputs, [next(dz) for _ in call.outputs], strict=True) if d is not None]
        call.outputs = [x for x, _ in pairs]
        call.signal = signal(call.module, pairs[0][1]) if pairs else 0.0
    times = [over_time(module, dx) for (module, _), dx in zip(entered, dz, strict=True) if dx is not None]
    nodes = topological(loss.grad_fn)
    order(nodes, calls)
    values = [loss, *model.parameters(), *(d for d in found if d is not None)]
    finite = all(bool(x.isfinite().all()) for x in values)
    return Gradients(model, calls, dw, nodes, float(loss.detach()), finite, max(flat), max(off), times)


def signal(module, dz):
    """The larger of ||dz|| and the norm of its sums over positions: what weights that are shared get."""
    if dz is None:
        return 0.0
    dz = dz.double()
    unit = 1 if "Conv" in type(module).__name__ and dz.ndim > 2 else dz.ndim - 1
    places = [axis for axis in range(1, dz.ndim) if axis != unit]
    return max(float(dz.norm()), float(dz.sum(places).norm()) if places else 0.0)


def over_time(module, dx):
    """Decades lost from the last time step of each example that has a gradient to the first step, infinitely many where
    that gets none; from an end to the middle, where a layer runs both ways."""
    norm_TB = dx.double().movedim(int(module.batch_first), 0).norm(dim=-1)
    if module.bidirectional:
        steps = norm_TB.norm(dim=1)
        middle = steps[(len(steps) - 1) // 2 : len(steps) // 2 + 1]
        top, bottom = float(max(steps[0], steps[-1])), float(middle.max())
    else:
        back = {}
        for norm_T in norm_TB.T.tolist():
            read = [t for t, norm in enumerate(norm_T) if norm > 0]
            for t in range(max(read, default=-1) + 1):
                back[read[-1] - t] = math.hypot(back.get(read[-1] - t, 0.0), norm_T[t])
        top, bottom = (back[0], back[max(back)]) if back else (0.0, 0.0)
    return math.log10(top / bottom) if top and bottom else math.inf if top else 0.0


def topological(root):
    """The nodes of a graph, each after all that lead to it from the root."""
    done, stack, postorder = set(), [(root, False)] if root is not None else [], []
    while stack:
        node, left = stack.pop()
        if left:
            postorder.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in children(node))
    return postorder[::-1]


def children(node):
    return [child for child, _ in node.next_functions if child is not None]


def order(nodes, calls):
    """Each call's depth along the graph, and whether any lies behind it."""
    marked = {x.grad_fn: call for call in calls for x in call.outputs}
    depth, behind = dict.fromkeys(nodes, 0), {}
    for node in nodes:
        for child in children(node):
            depth[child] = max(depth[child], depth[node] + (node in marked))
    for node in reversed(nodes):
        behind[node] = any(child in marked or behind[child] for child in children(node))
        if node in marked:
            call = marked[node]
            call.depth, call.source = max(call.depth, depth[node]), call.source and not behind[node]


def exact_zeros(found):
    """Trainable layers that ran and all of whose matrices' gradients are exactly 0."""
    names = []
    for name in dict.fromkeys(call.name for call in found.calls):
        module = found.model.get_submodule(name)
        own = [
            found.dw.get(f"{name}.{part}" if name else part)
            for part, p in module.named_parameters(recurse=False)
            if p.ndim > 1 and p.requires_grad
        ]
        if own and all(d is not None and not d.any() for d in own):
            names.append(name)
    return names


def excused(found, zero):
    """Whether a parameter that is 0 and has a gradient shuts the layers off, and a gradient finds a way around them."""
    gates = [
        name
        for name, d in found.dw.items()
        if d is not None and d.any() and not name.endswith("bias") and not found.model.get_parameter(name).any()
    ]
    marked, behind = {x.grad_fn: call for call in found.calls for x in call.outputs}, set()
    for node in found.nodes:
        if node in behind or (node in marked and marked[node].name in zero):
            behind.update(children(node))
    around = any(node in behind and call.signal > 0 and call.name not in zero for node, call in marked.items())
    return bool(gates) and around
