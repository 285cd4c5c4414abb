"""Families of deep MLPs with a leading member axis. A single network is a stack of one.

Legend: M members, B batch, I inputs, O units of a layer, C outputs.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from vgexp.config import Run, fans, law, revolve_snapshots
from vgexp.networks.activations import Activation, activation
from vgexp.networks.checkpoint import State, Step, revolve, segment_length, store, uniform
from vgexp.networks.initializers import weights
from vgexp.networks.layers import Linear, Observer, Update
from vgexp.networks.reversible import couple, invert
from vgexp.numerics import generator

Way = Callable[[Sequence[Step], State], State]
"""How a chain of steps is run: what is kept for the backward pass."""


class Plain:
    """f = f(D) o ... o f(1): z = h W + b, h = phi(z), and a linear readout."""

    inverts = False
    """Whether the family can rebuild its inputs."""

    def __init__(self, layers: list[Linear], phi: Activation, run: Run) -> None:
        self.layers, self.phi, self.run = layers, phi, run

    def __call__(self, x_MBI: Tensor, observer: Observer | None = None, update: Update | None = None) -> Tensor:
        """The outputs z_MBC. `observer` sees every layer forward and backward, `update` trains them
        backward."""
        (h_MBO,) = self.hidden(x_MBI, observer, update)
        z_MBC = self.layers[-1](h_MBO, observer, update)
        if observer is not None:
            observer.forward(self.layers[-1], z_MBC, None)
        return z_MBC

    def hidden(self, x_MBI: Tensor, observer: Observer | None, update: Update | None) -> State:
        """The last hidden layer's activations, by the run's memory mode; without autograd by the plainest."""
        steps = [partial(self._step, layer, observer, update) for layer in self.layers[:-1]]
        return self.way()(steps, (x_MBI,))

    def way(self) -> Way:
        """How the run's memory mode executes a chain."""
        if not torch.is_grad_enabled() or self.run.memory != "checkpoint":
            return store
        snapshots = revolve_snapshots(self.run.checkpoint.every)
        if snapshots is not None:
            return partial(revolve, snapshots=snapshots)
        every = self.run.checkpoint.every
        if every == "sqrt":
            return lambda steps, state: uniform(steps, state, segment_length(len(steps)))
        return partial(uniform, every=every)

    def to(self, device: torch.device | str) -> Self:
        """A copy on another device; on `meta`, its shapes alone."""
        scratch: dict[Any, Tensor] = {}
        layers = [
            Linear(
                layer.index,
                layer.weight_MIO.detach().to(device, copy=True),
                layer.bias_M1O.to(device, copy=True),
                scratch,
            )
            for layer in self.layers
        ]
        return type(self)(layers, self.phi, self.run)

    def _step(
        self, layer: Linear, observer: Observer | None, update: Update | None, state: State, first: bool
    ) -> State:
        z_MBO = layer(state[0], observer, update)
        h_MBO = self.phi.phi(z_MBO)
        if first and observer is not None:
            observer.forward(layer, z_MBO, h_MBO)
        return (h_MBO,)


class Reversible(Plain):
    """A first layer, additive couplings of two halves, and a readout: see `vgexp.networks.reversible`."""

    inverts = True

    def hidden(self, x_MBI: Tensor, observer: Observer | None, update: Update | None) -> State:
        (h_MBN,) = self._step(self.layers[0], observer, update, (x_MBI,), True)
        halves, couplings, branch = h_MBN.chunk(2, dim=-1), self.layers[1:-1], self.run.model.branch
        if self.run.memory == "invert" and torch.is_grad_enabled() and couplings:
            halves = invert(couplings, self.phi, branch, observer, update, halves)
        else:
            steps = [partial(couple, layer, self.phi, branch, observer, update) for layer in couplings]
            halves = self.way()(steps, halves) if steps else halves
        return (torch.cat(halves, dim=-1),)


def build(members: Sequence[Run], inputs: int, classes: int, device: torch.device) -> Plain:
    """A stack of the runs' family; member m's weights come from its seed alone, drawn on the CPU in float64."""
    dtype = getattr(torch, members[0].dtype)
    scratch: dict[Any, Tensor] = {}
    layers = []
    for index, (fan_in, fan_out) in enumerate(fans(members[0], inputs, classes), start=1):
        weight_MIO = torch.empty(len(members), fan_in, fan_out, dtype=dtype)
        bias_M1O = torch.empty(len(members), 1, fan_out, dtype=dtype)
        for m, run in enumerate(members):
            draw = generator("weights", run.seed, index)
            init = law(run, index)
            weight_MIO[m] = weights(init.name, fan_in, fan_out, draw, init.sigma_w, init.distribution)
            bias_M1O[m] = init.sigma_b * torch.randn(fan_out, generator=draw, dtype=torch.float64)
        layers.append(Linear(index, weight_MIO.to(device), bias_M1O.to(device), scratch))
    model = members[0].model
    return MODELS[model.family](layers, activation(model.activation, model.negative_slope), members[0])


def skeleton(run: Run, inputs: int, classes: int) -> Plain:
    """A network of shapes alone, on the meta device: nothing is drawn, nothing takes memory."""
    scratch: dict[Any, Tensor] = {}
    layers = []
    for index, (fan_in, fan_out) in enumerate(fans(run, inputs, classes), start=1):
        dtype = getattr(torch, run.dtype)
        weight, bias = (torch.empty(1, rows, fan_out, dtype=dtype, device="meta") for rows in (fan_in, 1))
        layers.append(Linear(index, weight, bias, scratch))
    return MODELS[run.model.family](layers, activation(run.model.activation, run.model.negative_slope), run)


MODELS: dict[str, type[Plain]] = {"plain": Plain, "reversible": Reversible}


def weight_bytes(run: Run, inputs: int, classes: int, slots: int) -> int:
    """Weights of one member, the optimiser's slots for each, and one gradient of each shape."""
    shapes = fans(run, inputs, classes)
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in shapes)
    scratch = sum(math.prod(shape) for shape in set(shapes))
    return getattr(torch, run.dtype).itemsize * (parameters * (1 + slots) + scratch)


def bytes_per_member(run: Run, inputs: int, classes: int, slots: int) -> int:
    """Memory of one member, activations (stored, and generously) included."""
    units = inputs + sum(fan_out for _, fan_out in fans(run, inputs, classes))
    activations = getattr(torch, run.dtype).itemsize * 4 * run.data.batch_size * units
    return weight_bytes(run, inputs, classes, slots) + activations
