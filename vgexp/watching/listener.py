"""Hooks in a model, for one step at a time, and the calls of its layers that they saw.

A forward hook measures what a layer puts out, and leaves a hook on that tensor, which measures the gradient when it
comes back. (Hooks of modules for the backward pass break on activations in place.) Activations are found in the graph
of autograd. No tensor of the model outlives its hook: numbers are kept. A step that is not recorded has no hooks.
"""

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vgexp.numerics import torch_private
from vgexp.watching import graph
from vgexp.watching.calls import UNDERFLOW_BELOW, Call
from vgexp.watching.layers import Layer, layers_of, tensors, weights

SHARDED = ("FullyShardedDataParallel", "DataParallel", "DeepSpeedEngine")
_watched: "weakref.WeakSet[nn.Module]" = weakref.WeakSet()


class Unsupported(RuntimeError):
    """A model cannot be watched; the message says what to do instead."""


class Hook:
    """A hook that does nothing in a copy or a pickle of the model: copies are not watched."""

    __slots__ = ("act", "subject")

    def __init__(self, act: Callable[..., None] | None = None, subject: Any = None) -> None:
        self.act, self.subject = act, subject

    def __call__(self, *arguments: Any) -> None:
        if self.act is None:
            return
        if torch.compiler.is_compiling():
            torch.compiler.disable(self.act)(self.subject, *arguments)
        else:
            self.act(self.subject, *arguments)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Hook":
        return Hook()

    def __reduce__(self) -> tuple[type["Hook"], tuple[()]]:
        return Hook, ()


class Listener:
    """The hooks in a model, and the calls that they saw since the last `forget`."""

    def __init__(self, model: nn.Module, everything: bool) -> None:
        """`everything` measures z, activations and weights too, else gradients alone. Raises Unsupported for what
        cannot be watched."""
        refuse_unwatchable(model)
        self.model, self.everything, self.layers = model, everything, layers_of(model)
        if not self.layers:
            raise Unsupported("the model has no parameter of two or more dimensions: there is no layer to watch")
        self._handles: list[Any] = []
        _watched.update(layer.module for layer in self.layers)
        self.forget()

    def listen(self) -> None:
        """Puts the hooks in, if they are not there."""
        if self._handles:
            return
        for layer in self.layers:
            layer.weights = weights(layer.module)
            self._handles.append(layer.module.register_forward_hook(Hook(self._forward, layer)))
        for module in self.model.modules():
            if next(module.children(), None) is not None:
                self._handles.append(module.register_forward_pre_hook(Hook(self._enter)))
                self._handles.append(module.register_forward_hook(Hook(self._leave), always_call=True))

    def silence(self) -> None:
        """Takes the hooks out."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def close(self) -> None:
        """Takes the hooks out for good: the model may be watched anew."""
        self.silence()
        self.forget()
        _watched.difference_update(layer.module for layer in self.layers)

    def forget(self) -> None:
        """Begins a step: what the last one brought is dropped."""
        for handle in getattr(self, "_leaves", ()):
            handle.remove()
        self._leaves: list[Any] = []
        self._calls: dict[tuple[str, int], Call] = {}
        self._numbers: dict[str, int] = {}
        self._nesting, self._outer = 0, 0
        self._graded = False
        self._returned: list[Call] = []

    def calls(self) -> list[Call]:
        """The calls in order, without those of passes that were never backpropagated, such as evaluations."""
        if all(call.reached for call in self._calls.values()):
            return list(self._calls.values())
        trained = {call.layer.name for call in self._calls.values() if call.reached}
        calls = [call for call in self._calls.values() if call.reached or call.layer.name not in trained]
        seen: Counter[str] = Counter()
        for call in calls:
            call.number = seen[call.layer.name]
            seen[call.layer.name] += 1
        return calls

    def _enter(self, subject: None, module: nn.Module, args: Any) -> None:
        if self._nesting == 0:
            self._outer += 1
            self._graded = torch.is_grad_enabled() and not torch_private.in_backward()
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
        if torch_private.in_backward() and (layer.name, 0) in self._calls:
            self._recomputed(layer, x)
        elif torch.is_grad_enabled() or self._graded:
            self._called(layer, x)

    def _called(self, layer: Layer, x: Tensor) -> None:
        if self._returned:  # after a backward pass a new forward pass begins: count its calls from 0
            self._numbers.clear()
            self._returned.clear()
        number = self._numbers.get(layer.name, 0)
        self._numbers[layer.name] = number + 1
        call = self._calls.get((layer.name, number))
        if call is None:
            call = self._calls[layer.name, number] = Call(layer, number, self._returned)
        if self.everything:
            call.norm("z_rms", x)
        self._wait_for_gradient(call, x)
        if self._nesting == 0:
            self._outer += 1
            self._look_upstream(x)

    def _recomputed(self, layer: Layer, x: Tensor) -> None:
        """Hooks a checkpointed layer that runs again within the backward pass. In reentrant checkpointing the first run
        makes no graph, and the gradient comes through this one."""
        without_graph = [call for call in self._calls.values() if call.layer is layer and not call.hooked]
        if len(without_graph) == 1:
            self._wait_for_gradient(without_graph[0], x)

    def _wait_for_gradient(self, call: Call, x: Tensor) -> None:
        if not x.requires_grad:
            return
        call.hooked = True
        call.underflow_below = UNDERFLOW_BELOW[x.dtype]
        handle = x.register_hook(call.backward)
        if x.grad_fn is None:  # the output is a parameter: the hook would outlive the graph
            self._leaves.append(handle)
        elif self.everything:
            graph.mark(x, (call, self._outer))

    def _look_upstream(self, output: Any) -> None:
        """Finds the activations between the layers that were just called."""
        if not self.everything:
            return
        outer = self._outer
        for activation, saved, marked in graph.activations(tensors(output), lambda marked: marked[1] == outer):
            if marked is not None:
                marked[0].activated(activation, saved)


def refuse_unwatchable(model: nn.Module) -> None:
    """Raises Unsupported for what cannot be watched."""
    if not isinstance(model, nn.Module):
        raise Unsupported(f"model: got {type(model).__name__}, accepts an nn.Module")
    for name, module in model.named_modules():
        where = f"{name or 'the model'} ({type(module).__name__})"
        if module in _watched:
            raise Unsupported(f"{where} is watched already: close the other monitor first")
        if torch_private.is_compiled(module):
            raise Unsupported(f"{where} is compiled already and would not run the hooks: watch it, then compile it")
        if isinstance(module, torch.jit.ScriptModule):
            raise Unsupported(
                f"{where} is a ScriptModule, which runs no tensor hooks: watch the module it was made from"
            )
        if type(module).__name__ in SHARDED:
            raise Unsupported(f"{where} splits weights or runs copies: watch the module inside it, in one process")
    if any(type(parameter).__name__ == "DTensor" for parameter in model.parameters()):
        raise Unsupported("the model's parameters are sharded (DTensor): watch it before it is sharded")
