"""Hooks in a model, for one step at a time, and the calls of its layers that they saw.

A forward hook measures what a layer puts out, and leaves a hook on that tensor, which measures the gradient when it
comes back. (Hooks of modules for the backward pass break on activations in place.) Activations are found in the graph
of autograd. No tensor of the model outlives its hook: numbers are kept. A step that is not recorded has no hooks.

Several backward passes may run within a step. Those that bring gradients to parameters are the loss's; an inner
`torch.autograd.grad`, of a penalty or a physical residual, is of another function, and its gradients are left out.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vgexp.numerics import torch_private
from vgexp.watching.hooks import graph
from vgexp.watching.hooks.calls import UNDERFLOW_BELOW, Call
from vgexp.watching.hooks.descent import Descent, Way
from vgexp.watching.hooks.layers import Layer, bare, layers_of, tensors, weights
from vgexp.watching.hooks.leftovers import Leftovers, samples
from vgexp.watching.hooks.recurrence import Recurrence
from vgexp.watching.hooks.refusals import WATCHED, Unsupported, refuse_unwatchable

WALKS = 3
"""Recorded steps at which a model is searched for parameters that it made in them; later only if one that it had gets
no gradient any more: the search costs as much as the norms do."""


class Hook:
    """A hook that does nothing in a copy or a pickle of the model: copies are not watched."""

    __slots__ = ("act", "subject")

    def __init__(self, act: Callable[..., Any] | None = None, subject: Any = None) -> None:
        self.act, self.subject = act, subject

    def __call__(self, *arguments: Any) -> Any:
        if self.act is None:
            return None
        if torch.compiler.is_compiling():
            return torch.compiler.disable(self.act)(self.subject, *arguments)
        return self.act(self.subject, *arguments)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Hook":
        return Hook()

    def __reduce__(self) -> tuple[type["Hook"], tuple[()]]:
        return Hook, ()


class Listener:
    """The hooks in a model, and the calls that they saw since the last `forget`."""

    def __init__(self, model: nn.Module, everything: bool, through_time: bool = False) -> None:
        """`everything` measures z, activations and weights too, else gradients alone. `through_time` has inputs of
        recurrent layers require a gradient. Raises Unsupported for what cannot be watched."""
        refuse_unwatchable(model)
        self.model, self.everything, self.layers = model, everything, layers_of(model)
        if not self.layers:
            raise Unsupported("the model has no parameter of two or more dimensions: there is no layer to watch")
        self.recurrence = Recurrence(self.layers, through_time)
        self._handles: list[Any] = []
        self._parameters: list[nn.Parameter] = []
        self._hooked: set[int] = set()
        self._named: dict[str, nn.Parameter] = {}
        self._walks = 0
        self._samples: dict[str, nn.Parameter] = {}
        WATCHED.update(layer.module for layer in self.layers)
        self.forget()

    def listen(self) -> None:
        """Puts the hooks in, if they are not there."""
        if self._handles:
            return
        for layer in self.layers:
            layer.weights = weights(layer.module)
            self._handles.append(layer.module.register_forward_hook(Hook(self._forward, layer)))
        for layer in self.recurrence.layers:
            hook = Hook(self.recurrence.enter, layer)
            self._handles.append(layer.module.register_forward_pre_hook(hook, with_kwargs=True))
        self._samples = samples(self.layers)
        self._parameters = list(self.model.parameters())
        self._hook_parameters()
        for module in self.model.modules():
            if next(module.children(), None) is not None:
                self._handles.append(module.register_forward_pre_hook(Hook(self._enter)))
                self._handles.append(module.register_forward_hook(Hook(self._leave), always_call=True))

    def _hook_parameters(self) -> None:
        """Hooks what requires a gradient now: layers are frozen and thawed in the course of a training."""
        for parameter in self._parameters:
            if parameter.requires_grad and id(parameter) not in self._hooked:
                self._hooked.add(id(parameter))
                self._handles.append(parameter.register_post_accumulate_grad_hook(self._accumulated))

    def silence(self) -> None:
        """Takes the hooks out."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._hooked = [], set()

    def close(self) -> None:
        """Takes the hooks out for good: the model may be watched anew."""
        self.silence()
        self.forget()
        WATCHED.difference_update(layer.module for layer in self.layers)

    def forget(self) -> None:
        """Begins a step: what the last one brought is dropped."""
        for handle in getattr(self, "_leaves", ()):
            handle.remove()
        self._leaves: list[Any] = []
        self._calls: list[Call] = []
        self._by_name: dict[tuple[str, int], Call] = {}
        self._numbers: Counter[str] = Counter()
        self._nesting, self._pass, self._over = 0, object(), False
        self._graded = False
        self._descents: dict[int, Descent] = {}
        self._fed: set[int] = set()
        self.fed: set[int] = set()
        """`id` of the parameters to which a backward pass brought a gradient: a parameter takes long to hash."""
        self._leftovers = Leftovers()
        self.recurrence.forget()
        self.reentrant = False
        """Whether part of the graph was made within the backward pass: depths are not known from it."""

    def calls(self) -> list[Call]:
        """The calls in order, with the gradients of the passes that count, and without calls that no such pass reached,
        such as those of evaluations, of layers that others reached.

        Where no pass brought a gradient to a parameter, as when all is done by `torch.autograd.grad`, all count.
        """
        tasks = self.tasks
        for call in self._calls:
            call.settle(tasks)
        for task in tasks:
            for index, way in self._descents[task].ways.items():
                call = self._calls[index]
                call.way = way if call.way is None else call.way.joined(way)
        if self.reentrant:
            self._in_order_of_execution()
        for call in self._calls:
            if call.way is not None:
                call.totals["depth"], call.counts["depth"] = float(call.way.depth), 1
        if all(call.reached for call in self._calls):
            return list(self._calls)
        trained = {call.layer.name for call in self._calls if call.reached}
        calls = [call for call in self._calls if call.reached or call.layer.name not in trained]
        seen: Counter[str] = Counter()
        for call in calls:
            call.number = seen[call.layer.name]
            seen[call.layer.name] += 1
        return calls

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that require a gradient now. Those that no hook waits for, made since the step began, count as
        fed if they have a gradient."""
        found = requiring(self._named)
        if self._walks < WALKS or any(id(parameter) not in self.fed for parameter in found.values()):
            self._walks += 1
            self._named = dict(bare(self.model).named_parameters())
            found = requiring(self._named)
            for parameter in found.values():
                if id(parameter) not in self._hooked and parameter.grad is not None:
                    self.fed.add(id(parameter))
        return found

    @property
    def tasks(self) -> list[int]:
        """The backward passes that count."""
        return [task for task in self._descents if not self._fed or task in self._fed]

    @property
    def others(self) -> bool:
        """Whether a backward pass was seen that brought nothing to a parameter, beside one that did."""
        return bool(self._fed) and any(task not in self._fed for task in self._descents)

    def leftover(self) -> list[str]:
        """Layers to whose gradients of the step before this step's were added."""
        return self._leftovers.found(self._samples, self.fed)

    def _in_order_of_execution(self) -> None:
        """Ways as if all calls were one chain."""
        reached = [call for call in self._calls if call.reached]
        for depth, (call, above) in enumerate(zip(reversed(reached), [None, *reversed(reached)], strict=False)):
            call.way = Way(depth, 0 if above is None else 1 << above.index, 0)

    def _accumulated(self, parameter: Tensor) -> None:
        self.fed.add(id(parameter))
        self._fed.add(torch_private.graph_task())
        self._over = True

    def _enter(self, subject: None, module: nn.Module, args: Any) -> None:
        if self._nesting == 0:
            self._pass = object()
            self._graded = torch.is_grad_enabled() and not torch_private.in_backward()
            self._hook_parameters()
        self._nesting += 1

    def _leave(self, subject: None, module: nn.Module, args: Any, output: Any) -> None:
        self._nesting -= 1
        if self._nesting == 0:
            if self._graded:
                self._look_upstream(output)
            self._graded = False

    def _forward(self, layer: Layer, module: nn.Module, args: Any, output: Any) -> None:
        x = output if type(output) is Tensor and output.is_floating_point() else next(tensors(output), None)
        if x is None:
            return
        if torch_private.is_transformed(x):
            raise Unsupported(f"{layer.name} runs under torch.func (vmap, grad): watch a model that is called as it is")
        if torch_private.in_backward() and (layer.name, 0) in self._by_name:
            self._recomputed(layer, x)
        elif torch.is_grad_enabled() or self._graded:
            call = self._called(layer, x)
            if not (args and isinstance(args[0], Tensor) and args[0].is_floating_point()):
                numbers = next(tensors(args), None) is not None
                call.inputs = "numbers" if numbers else "indices" if args else "none"
            if x is not output and next(module.children(), None) is None:
                self._wait_for_others(call, list(tensors(output))[1:])

    def _called(self, layer: Layer, x: Tensor) -> Call:
        if self._over:  # after a backward pass a new forward pass begins: count its calls from 0
            self._numbers.clear()
            self._over = False
        number = self._numbers[layer.name]
        self._numbers[layer.name] += 1
        call = self._by_name.get((layer.name, number))
        if call is None:
            call = self._by_name[layer.name, number] = Call(layer, number, len(self._calls))
            self._calls.append(call)
        if self.everything:
            call.norm("z_rms", x)
        self._wait_for_gradient(call, x)
        if self._nesting == 0:
            self._pass = object()
            self._look_upstream(x)
        return call

    def _wait_for_others(self, call: Call, outputs: Sequence[Tensor]) -> None:
        """A recurrent layer puts out its states too, and its reader may take these alone: their gradient stands for
        that of the first output where that has none."""
        for x in outputs:
            if x.requires_grad and x.grad_fn is not None:
                x.register_hook(partial(self._returned, call, x.shape, stand_in=True))
                graph.mark(x, (call, self._pass))

    def _recomputed(self, layer: Layer, x: Tensor) -> None:
        """Hooks a checkpointed layer that runs again within the backward pass. In reentrant checkpointing the first run
        makes no graph, and the gradient comes through this one."""
        without_graph = [call for call in self._calls if call.layer is layer and not call.hooked]
        if len(without_graph) == 1:
            self.reentrant = True
            self._wait_for_gradient(without_graph[0], x)

    def _wait_for_gradient(self, call: Call, x: Tensor) -> None:
        if not x.requires_grad:
            return
        call.hooked = True
        call.dtype, call.underflow_below = x.dtype, UNDERFLOW_BELOW.get(x.dtype, 0.0)
        output, shape = torch_private.whole(x), x.shape
        handle = output.register_hook(partial(self._returned, call, shape))
        if output.grad_fn is None:  # the output is a parameter: the hook would outlive the graph
            self._leaves.append(handle)
            return
        (holder, _) = graph.mark(output, (call, self._pass))
        call.twin = holder if holder is not call else None

    def _returned(self, call: Call, shape: torch.Size, dz: Tensor | None, stand_in: bool = False) -> None:
        """The hook for the gradient of what a call put out, maybe as another view; None if only siblings have one."""
        if dz is None:
            return
        task = torch_private.graph_task()
        call.gradient(task, dz if dz.shape == shape else dz.reshape(shape), stand_in)
        descent = self._descents.get(task)
        if descent is None:
            descent = self._descents[task] = Descent(self._calls)
            self._leftovers.look(self._samples)
        node = torch_private.current_node()
        if node is not None and graph.MARK in node.metadata:
            descent.arrive(node)

    def _look_upstream(self, output: Any) -> None:
        """Finds the activations between the layers that were just called."""
        if not self.everything:
            return
        this = self._pass
        for activation, saved, marked in graph.activations(tensors(output), lambda marked: marked[1] is this):
            if marked is not None:
                marked[0].activated(activation, saved)


def requiring(named: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Those parameters that require a gradient."""
    return {name: parameter for name, parameter in named.items() if parameter.requires_grad}
