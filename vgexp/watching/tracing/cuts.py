"""Cuts: where a trainable parameter that gets no gradient leaves autograd's graph.

>>> import torch
>>> class Choice(nn.Module):
...     def __init__(self):
...         super().__init__()
...         self.score, self.table = nn.Linear(4, 3), nn.Embedding(3, 2)
...
...     def forward(self, x):
...         return self.table(self.score(x).argmax(1))
>>> model = Choice()
>>> found = cuts(model, lambda: model(torch.ones(5, 4)).sum(), ["score.weight", "score.bias"])
>>> found["score.bias"].operation, found["score.bias"].module
('argmax', 'Choice')
"""

from collections.abc import Callable, Collection
from itertools import takewhile
from typing import Any, NamedTuple

from torch import nn

from vgexp.watching.hooks.layers import bare
from vgexp.watching.tracing.trace import BACKWARD, GRAD, GRAD_OF_PARAMETERS, Event, Function, Trace

CHECKPOINT = "checkpoint (reentrant, no input requires a gradient)"
_PYTHON = "Python's numbers and arrays have no gradient, compute with the tensor itself"
REASONS = {
    "detach": "it returns the numbers without the graph",
    "data": ".data is the numbers without the graph, use the tensor itself",
    "no_grad": "under no_grad no graph is made",
    "inference_mode": "in inference mode no graph is made",
    "nn.Parameter": "nn.Parameter(...) begins a new graph, use the tensor itself",
    "alias": "a tensor is used that has the same memory without the graph (made by .data, detach or Variable)",
    "tensor": "torch.tensor(...) copies the numbers alone, use the tensor itself or torch.stack",
    GRAD: "the derivative comes without a graph, pass create_graph=True",
    GRAD_OF_PARAMETERS: "the derivative comes without a graph, pass create_graph=True if it is to be differentiated",
    "grad": "the derivative depends on no parameter",
    BACKWARD: "the gradients come without a graph, use autograd.grad(..., create_graph=True)",
    CHECKPOINT: "pass use_reentrant=False",
    **dict.fromkeys(("item", "tolist", "numpy", "float", "int", "index", "complex"), _PYTHON),
}
"""Why an operation passes no gradient on, and what to do instead."""
_CHOICE = "softmax or gumbel_softmax(hard=True) in the place of {}; in a loss, one with a derivative, as cross_entropy"
_COMPARISON = "a sigmoid in the place of the comparison; in a loss, one with a derivative, as cross_entropy"
_SAMPLE = "rsample or gumbel_softmax; or the log-probability of what was drawn, times what it earned, in the loss"
_WHOLE = "pass the gradient straight through, x + (x.round() - x).detach()"
_IN_TORCH = "compute with the tensor itself, in torch"
INSTEAD = {
    **dict.fromkeys(("argmax", "argmin", "topk", "sort", "argsort", "max", "min", "bucketize"), _CHOICE),
    **dict.fromkeys(("gt", "lt", "ge", "le", "eq", "ne", "sign", "logical_and", "logical_or"), _COMPARISON),
    **dict.fromkeys(("multinomial", "bernoulli", "poisson"), _SAMPLE),
    **dict.fromkeys(("long", "to", "type", "round", "floor"), _WHOLE),
    **dict.fromkeys(("item", "tolist", "numpy", "float", "int", "index", "complex"), _IN_TORCH),
    "tensor": "use the tensor itself, or torch.stack, in the place of torch.tensor",
    "detach": "drop that detach",
    "data": "drop .data: use the tensor itself",
    "alias": "use the tensor itself, without .data, detach or Variable",
    "nn.Parameter": "use the tensor itself: nn.Parameter(...) belongs into __init__ alone",
    "no_grad": "take it out of no_grad (in sampling: rsample in the place of sample)",
    "inference_mode": "take it out of inference_mode",
    GRAD: "pass create_graph=True there",
    GRAD_OF_PARAMETERS: "pass create_graph=True there",
    BACKWARD: "autograd.grad(..., create_graph=True) there",
    CHECKPOINT: "pass use_reentrant=False to that checkpoint",
    "frozen": "requires_grad_(True) before the forward pass that is to train them",
    "unused": "use them in forward",
    "not in the loss": "put what comes of them into the loss",
}
"""What to do against a cut, by its operation."""
CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
"""Modules that are never called."""


class Cut(NamedTuple):
    """Where a parameter leaves the graph. Parameters that one operation cuts off have equal cuts."""

    operation: str
    """`argmax`, `detach`, `item`, `no_grad`, ...; `frozen`; `F returns no gradient` for an autograd.Function F; `not in
    the loss`, which does not depend on what comes of the parameter; `unused`, if nothing reads it."""
    module: str
    """The innermost module that was running, the model itself by its class; empty outside of the model."""
    line: str
    """`file:line: source` of the innermost frame outside of torch; empty if there is none."""
    words: str
    """A sentence."""

    @property
    def remedy(self) -> str:
        """What to do against it."""
        operation = self.operation.removesuffix(".forward")
        if operation != self.operation or operation.endswith(" returns no gradient"):
            return "return a gradient for it in the backward of that autograd.Function"
        if self.words.endswith(REPLACED):
            return "copy its numbers into the parameter that is read (under no_grad, by copy_), and remove it"
        return INSTEAD.get(operation, "mend that place").format(operation)

    @property
    def cause(self) -> tuple[str, str]:
        """What cuts have in common that are to be mended together: one state of torch, or of parameters, cuts off each
        layer that runs in it at a place of its own."""
        never_ran = self.operation == "unused" and self.words.endswith("never ran")
        return self.operation, "" if never_ran or self.operation in STATES else self.words


REPLACED = "of the same shape; was it replaced?"
STATES = ("no_grad", "inference_mode", "frozen", "not in the loss", CHECKPOINT)
"""What cuts off many layers at once."""


def cuts(model: nn.Module, run: Callable[[], Any], names: Collection[str]) -> dict[str, Cut]:
    """The cut of each of the parameters `names`, which are those of the bare model's that got no gradient.

    `run` computes the loss once more, without its backward pass; what that changes, as running statistics, is the
    caller's to restore. A parameter whose path to the loss is whole has no cut. Raises what `run` raises.
    """
    model = bare(model)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    trace = Trace(model, [parameters[name] for name in names])
    upstream, reaching = trace.sources(trace.follow(run))
    found: dict[str, Cut | None] = {}
    for name in names:
        bit = trace.bits[parameters[name]]
        if upstream & bit:
            found[name] = no_gradient_returned(trace, bit)
        else:
            found[name] = last_cut(trace, bit, reaching) or unused(model, trace, name)
    return {name: cut for name, cut in found.items() if cut is not None}


def last_cut(trace: Trace, bit: int, reaching: int) -> Cut | None:
    """The last event of a parameter whose numbers reach the loss, by `reaching` or else through Python's. What was cut
    off before and reaches the loss as well is none: it hung in the graph by another way until then."""
    events = [(i, event) for i, event in enumerate(trace.events) if event.parameters & bit]
    through = [event for i, event in events if reaching >> i & 1]
    handed = [event for _, event in events if event.reader]
    if through:
        return worded(through[-1])
    if handed:
        return worded(handed[-1], by_python=True)
    if bit in trace.reads:
        module, line = trace.reads[bit]
        words = f"read {place(module, line)}, but the loss does not depend on what comes of it"
        return Cut("not in the loss", module, line, words)
    return None


def worded(event: Event, by_python: bool = False) -> Cut:
    """An event as a cut. `by_python`: what came of it went to Python, and nothing else of it reaches the loss."""
    operation, at = event.operation, place(event.module, event.line)
    if operation == "frozen":
        return Cut(operation, event.module, event.line, f"read {at} while its requires_grad was False")
    if event.function:
        operation = CHECKPOINT if event.function == "CheckpointFunction" else f"{event.function}.forward"
    elif by_python and operation in ("detach", "data"):  # a step on the way to Python
        operation = event.reader
    other = "whole numbers and truth values have no derivative" if event.whole else "it passes no gradient on"
    if event.function and operation != CHECKPOINT:
        other = "autograd does not look into the forward pass of an autograd.Function"
    reason = REASONS.get(operation, other)
    alone = ", and nothing else of it reaches the loss" if by_python else ""
    return Cut(operation, event.module, event.line, f"cut off at {operation} {at}: {reason}{alone}")


def no_gradient_returned(trace: Trace, bit: int) -> Cut | None:
    """The autograd.Function nearest to a parameter on its path to the loss, if there is one."""
    functions = [node for node, parameters in trace.graph.items() if parameters & bit and isinstance(node, Function)]
    if not functions:
        return None
    name = type(functions[0]).__name__.removesuffix("Backward")
    inner = [event for event in trace.events if event.parameters & bit and event.function == name]
    module, line = (inner[-1].module, inner[-1].line) if inner else ("", "")
    words = f"the loss depends on it through {name}, an autograd.Function whose backward returns None for it"
    return Cut(f"{name} returns no gradient", module, line, words)


def unused(model: nn.Module, trace: Trace, name: str) -> Cut:
    """The cut of a parameter that no operation reads: what its module did, and what it read instead."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    parameter, last = parameters[name], name.rpartition(".")[2]
    owners = [owner for owner in above(name) if not isinstance(model.get_submodule(owner), CONTAINERS)]
    idle = list(
        takewhile(lambda owner: owner and trace.called.isdisjoint(model.get_submodule(owner).modules()), owners)
    )
    module = trace.modules[model.get_submodule(idle[-1] if idle else owners[0])]
    words = f"no operation reads it: {module} never ran" if idle else f"no operation reads it, although {module} ran"
    if not parameter.requires_grad:
        return Cut("frozen", module, "", "its requires_grad is False, and no operation reads it")
    for other, twin in parameters.items() if not idle else ():
        *_, its_last = other.split(".")
        near = above(other)[0] == owners[0] or (owners[0] in above(other) and its_last == last)
        if near and trace.bits[twin] in trace.reads and sorted(twin.shape) == sorted(parameter.shape):
            words = f"no operation reads it: {module} reads {other} instead, {REPLACED}"
            break
    return Cut("unused", module, "", words)


def above(name: str) -> list[str]:
    """The names of the modules that a parameter or module is in, from the innermost to the model itself, which is
    empty."""
    parts = name.split(".")[:-1]
    return [".".join(parts[:depth]) for depth in range(len(parts), -1, -1)]


def place(module: str, line: str) -> str:
    """A module and a line, in words."""
    return f"in {module or 'the loss'}" + (f" ({line})" if line else "")


def constant_derivatives(model: nn.Module, run: Callable[[], Any]) -> list[Cut]:
    """Where a loss takes a derivative as a constant: `autograd.grad` or a backward pass without create_graph whose
    result reaches the loss. The parameters may have gradients from its other terms. Derivatives by parameters are left
    out: first-order meta-learning, and adaptive weights of losses, take them as constants on purpose. So are those that
    become inputs of a layer, as adversarial examples and samples of an energy are, and those that are detached.

    `run` is as `cuts` takes it.
    """
    trace = Trace(model, model.parameters(), constants=False)
    _, reaching = trace.sources(trace.follow(run))
    events = [event for i, event in enumerate(trace.events) if reaching >> i & 1]
    return list(dict.fromkeys(worded(event) for event in events if event.operation in (GRAD, BACKWARD)))
