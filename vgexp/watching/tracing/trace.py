"""The trace of one pass: which operations cut parameters off autograd's graph, and where their results go.

Every operation of torch is looked at. One whose inputs hang in the graph, and whose result does not, cuts off the
parameters upstream of those inputs: the graph itself tells which they are. From there on the memory of the result is
followed, from operation to operation. What goes to Python, as a number or an array, is not followed any further. Calls
of an autograd.Function and of `torch.autograd.backward` are not seen; what a Function does inside is, and its node.

Sets of parameters and of events are integers, a bit each.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from vgexp.numerics import torch_private
from vgexp.watching.hooks.layers import bare, every_tensor, layers_of
from vgexp.watching.tracing.arguments import Given, Node, assigns, inputs, memory, name_of, valued
from vgexp.watching.tracing.places import Places

Function = torch.autograd.function.BackwardCFunction
"""The node of an autograd.Function."""

READERS = {"item", "tolist", "numpy", "float", "int", "index", "complex"}
"""Operations that hand numbers over to Python."""
GRAD, BACKWARD = "autograd.grad without create_graph", "backward without create_graph"
GRAD_OF_PARAMETERS = "autograd.grad of parameters without create_graph"
"""As first-order meta-learning and adaptive weights of losses have it, on purpose."""
DIFFERENTIATIONS = {torch.autograd.grad: GRAD, Tensor.backward: BACKWARD}
COMPUTED = {"parametrizations"}
"""Children of a layer that compute its weights."""
BY_THEMSELVES = {"detach", "data", "tensor", GRAD, GRAD_OF_PARAMETERS, *READERS}
"""Operations that cut whatever the mode, no_grad or not. So do those with whole numbers for a result."""


@dataclass
class Event:
    """An operation that cuts parameters off."""

    operation: str
    module: str
    """The innermost module that was running; empty outside of the model."""
    line: str
    """`file:line: source` of the innermost frame outside of torch; empty if there is none."""
    function: str
    """The autograd.Function in whose forward pass it ran."""
    parameters: int
    whole: bool
    """Whether its result is integers or truth values."""
    reader: str = ""
    """The operation that handed what came of it over to Python."""


class Trace(TorchFunctionMode):
    """Follows one pass; then holds what it saw."""

    def __init__(self, model: nn.Module, wanted: Iterable[nn.Parameter], constants: bool = True) -> None:
        """`wanted` are the parameters of the model to look for. Without `constants`, derivatives that are meant as such
        are not followed: those that are detached or used under no_grad, and those that go into a layer as data do, as
        in adversarial examples and Langevin dynamics."""
        super().__init__()
        self._constants = constants
        found = layers_of(model)
        self._layers = {one.name for one in found if {name for name, _ in one.module.named_children()} <= COMPUTED}
        self.bits: dict[Tensor, int] = {parameter: 1 << i for i, parameter in enumerate(model.parameters())}
        self._wanted = union(self.bits[parameter] for parameter in wanted)
        named = [(module, name or type(module).__name__) for name, module in bare(model).named_modules()]
        self.modules = dict(named)
        self._places, self._bottom = Places(model), None
        self.called: set[nn.Module] = set()
        self.events: list[Event] = []
        self.reads: dict[int, tuple[str, str]] = {}
        """By parameter: the module and the line of the first operation that read it."""
        self._switch: tuple[str, str] | None = None
        """Where gradients were switched off: the module and the line; None while they are on."""
        self.graph: dict[Node, int] = {}
        """The parameters upstream of a node, where that was asked for."""
        self._lost: Any = WeakIdKeyDictionary()
        """By memory, or by tensor where the memory is that of a graph: the events that its numbers come from."""
        self._live: Any = WeakIdKeyDictionary()
        """By memory: the node, or the parameters, that its numbers come from."""
        self._leaves: Any = WeakIdKeyDictionary()
        """Tensors without a node that operations returned."""
        self._plain: Any = WeakIdKeyDictionary()
        """Tensors in the memory of a derivative that are constants on purpose."""
        self._gradients = 0
        """The events behind what backward passes left in `.grad`."""
        for parameter, bit in self.bits.items():
            place = memory(parameter)
            self._live[place] = self._live.get(place, 0) | bit

    def follow(self, run: Callable[[], Any]) -> Any:
        """What `run` returns."""
        self._bottom = inspect.currentframe()
        handle = nn.modules.module.register_module_forward_pre_hook(lambda module, _: self.called.add(module))
        enter = torch.inference_mode.__enter__

        def entered(mode: torch.inference_mode) -> None:  # which, unlike no_grad, no mode of functions sees
            self._switched(on=not mode.mode)
            enter(mode)

        try:
            with self, patch.object(torch.inference_mode, "__enter__", entered):
                return run()
        finally:
            self._bottom = None
            handle.remove()

    def sources(self, values: Any) -> tuple[int, int]:
        """The parameters that nested values hang on in the graph, and the events that their numbers come from."""
        given = inputs(values)
        lost = union(self._numbers_of(one) for one in given)
        return union(self._upstream(one) for one in given), lost

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = name_of(func)
        if name == "_set_grad_enabled":
            self._switched(args[0])
        given = inputs(valued(name, args, kwargs))
        result = func(*args, **kwargs)
        outputs = [torch_private.untransformed(x) for x in every_tensor(args[0] if assigns(func) else result)]
        if name in ("grad", "requires_grad") and func is not torch.autograd.grad:  # the attributes
            for output in outputs:
                self._taint(output, self._gradients)
        elif outputs or name in READERS or func in DIFFERENTIATIONS:
            self._saw(func, name, given, outputs, (args, kwargs))
        return result

    def _switched(self, on: bool) -> None:
        if on:
            self._switch = None
        elif torch.is_grad_enabled():
            self._switch = self._places.here(self._bottom)[:2]

    def _saw(self, func: Any, name: str, given: list[Given], outputs: list[Tensor], call: tuple[Any, Any]) -> None:
        for one in given:
            bit = self.bits.get(one.x, 0)
            if bit and bit not in self.reads:
                self.reads[bit] = self._places.here(self._bottom)[:2]
        if func in DIFFERENTIATIONS:
            arguments = inspect.signature(func).bind(*call[0], **call[1]).arguments
            name = name if arguments.get("create_graph") else DIFFERENTIATIONS[func]
            if name == GRAD and all(x in self.bits for x in every_tensor(arguments["inputs"])):
                name = GRAD_OF_PARAMETERS
        lost = union(self._numbers_of(one) for one in given)
        if not self._constants and lost:
            lost = self._followed(name, given, outputs)
        if name == BACKWARD:
            self._gradients |= self._cut(name, given)
        elif name in READERS:
            lost |= self._cut(name, given)
            for i, event in enumerate(self.events):
                if lost >> i & 1:
                    event.reader = name
        else:
            self._returned(name, given, outputs, lost, assigns(func) and name == "data")

    def _followed(self, name: str, given: list[Given], outputs: list[Tensor]) -> int:
        """The events that an operation's inputs come from, without derivatives that are constants on purpose."""
        derivatives = union(1 << i for i, event in enumerate(self.events) if event.operation in (GRAD, BACKWARD))
        meant = not torch.is_grad_enabled() or name in ("detach", "data")
        meant |= any(one.x in self.bits and one.x.ndim > 1 for one in given)
        meant |= self._places.here(self._bottom).module in self._layers
        found = 0
        for one in given:
            plain = meant or one.x in self._plain
            found |= self._numbers_of(one) & ~(derivatives if plain else 0)
            for output in outputs if plain else ():  # the memory is that of the derivative, which may be used as well
                if memory(output) is memory(one.x):
                    self._plain[output] = True
        return found

    def _returned(self, name: str, given: list[Given], outputs: list[Tensor], lost: int, detached: bool) -> None:
        """Finds what an operation cuts off, and where the numbers of its inputs go."""
        detached = detached or not torch.is_grad_enabled()
        cut: dict[tuple[int, ...], int] = {}
        for output in outputs:
            itself = [one.x is output for one in given]
            if output.requires_grad:
                taken = [detached and not same for same in itself]
            elif any(itself):
                taken = [True] * len(given)
            else:  # one of several views, as of broadcast_tensors, comes from one input alone
                views = [memory(one.x) is memory(output) for one in given]
                taken = views if any(views) else [True] * len(given)
            key = tuple(i for i, yes in enumerate(taken) if yes)
            if key not in cut:
                cut[key] = self._cut(name, [given[i] for i in key], output)
            self._taint(output, lost | cut[key])
            if output.grad_fn is None:
                self._leaves[output] = True
            else:
                self._live[memory(output)] = output.grad_fn

    def _numbers_of(self, one: Given) -> int:
        """The events that an input's numbers come from; those that no operation showed are found here."""
        place, bit, found = memory(one.x), self.bits.get(one.x, 0), 0
        if bit and not one.requires_grad:
            found = self._event("frozen", bit)
        elif not bit and one.node is None and one.x not in self._leaves and place in self._live:
            self._leaves[one.x] = True
            name = "nn.Parameter" if isinstance(one.x, nn.Parameter) else "alias"
            self._taint(one.x, self._event(name, self._nodes(self._live[place])))
        elif isinstance(one.node, Function) and one.node not in self.graph:
            # What its forward pass reads without a graph, as a checkpoint's does, is upstream of its node.
            lost = self._lost.get(place, 0)
            inner = [i for i, event in enumerate(self.events) if lost >> i & 1 and event.function]
            self.graph[one.node] = self._nodes(one.node) | union(self.events[i].parameters for i in inner)
            self._lost[place] = lost & ~union(1 << i for i in inner)
        return found | self._lost.get(place, 0) | self._lost.get(one.x, 0)

    def _cut(self, name: str, given: Sequence[Given], result: Tensor | None = None) -> int:
        """The event, if any, of an operation that cuts its inputs off."""
        parameters = union(self._upstream(one) for one in given)
        whole = result is not None and not (result.is_floating_point() or result.is_complex())
        if not torch.is_grad_enabled() and not whole and name not in BY_THEMSELVES:
            name = "inference_mode" if torch.is_inference_mode_enabled() else "no_grad"
        return self._event(name, parameters, whole)

    def _event(self, name: str, parameters: int, whole: bool = False) -> int:
        """Notes an event; 0 where it concerns no parameter that is looked for."""
        if not parameters & self._wanted:
            return 0
        module, line, function = self._places.here(self._bottom)
        if name in ("no_grad", "inference_mode") and self._switch is not None:
            module, line = self._switch
        self.events.append(Event(name, module, line, function, parameters & self._wanted, whole))
        return 1 << len(self.events) - 1

    def _upstream(self, one: Given) -> int:
        """The parameters that a tensor hangs on in the graph."""
        if not one.requires_grad:
            return 0
        return self._nodes(one.node) if one.node is not None else self.bits.get(one.x, 0)

    def _nodes(self, node: Node) -> int:
        """The parameters upstream of a node; those given are upstream of themselves."""
        if isinstance(node, int):
            return node
        stack = [node]
        while stack:
            node = stack[-1]
            parents = [parent for parent, _ in node.next_functions if parent is not None]
            if node not in self.graph and (missing := [parent for parent in parents if parent not in self.graph]):
                stack += missing
                continue
            if node not in self.graph:
                own = self.bits.get(node.variable, 0) if type(node).__name__ == "AccumulateGrad" else 0
                self.graph[node] = own | union(self.graph[parent] for parent in parents)
            stack.pop()
        return self.graph[node]

    def _taint(self, x: Tensor, events: int) -> None:
        if events:
            place = x if x.grad_fn is None and memory(x) in self._live else memory(x)
            self._lost[place] = self._lost.get(place, 0) | events


def union(sets: Iterable[int]) -> int:
    """The union of sets, a bit an element."""
    return reduce(or_, sets, 0)
