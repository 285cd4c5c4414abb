"""A stack of networks of one family. A single network is a stack of one.

Legend: M members, B batch, I inputs, N units of a state, C outputs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vgexp.config import Run, revolve_snapshots
from vgexp.networks.activations import activation
from vgexp.networks.checkpoint import State, Step, revolve, segment_length, store, uniform
from vgexp.networks.family import Family, Pass
from vgexp.networks.parts import Key, Matrix, Observer, Part, Update

Way = Callable[[Sequence[Step], State], State]
"""How a chain of steps is run: what is kept for the backward pass."""


class Network:
    """The parts of M networks, and the family's way through them."""

    def __init__(self, family: Family, run: Run, parts: Sequence[Part]) -> None:
        """`run` is that of any member: they differ in member fields alone, which the parts hold."""
        self.family, self.run = family, run
        self.parts: dict[Key, Part] = {part.key: part for part in parts}
        self.activation = activation(run.model.activation, run.model.negative_slope)

    @property
    def matrices(self) -> list[Matrix]:
        return [part for part in self.parts.values() if isinstance(part, Matrix)]

    def __call__(self, x_MBI: Tensor, observer: Observer | None = None, update: Update | None = None) -> Tensor:
        """The outputs z_MBC. `observer` sees every layer forward and backward, `update` trains them backward."""
        depth, state = self.run.model.depth, (x_MBI,)
        for layer in range(1, self.family.stored + 1):
            state = self.run_layer(layer, observer, update, state, True)
        state = self._chain(range(self.family.stored + 1, depth + 1), observer, update, state)
        return self.family.readout(Pass(self, x_MBI.shape[1], observer, update, True), depth + 1, state)

    def run_layer(
        self, layer: int, observer: Observer | None, update: Update | None, state: State, first: bool
    ) -> State:
        """One layer below the readout: the state above it."""
        run = self.family.stem if layer == 1 else self.family.block
        above = run(Pass(self, state[0].shape[1], observer, update, first), layer, state)
        if observer is not None:
            if first:
                observer.block(layer, state, above)
            for tensor in above:
                if tensor.requires_grad:
                    tensor.register_hook(partial(observer.state_gradient, layer))
        return above

    def to(self, device: torch.device | str) -> "Network":
        """A copy on another device; on `meta`, its shapes alone."""
        scratch: dict[Any, Tensor] = {}
        return Network(self.family, self.run, [part.to(device, scratch) for part in self.parts.values()])

    def _chain(self, layers: Sequence[int], observer: Observer | None, update: Update | None, state: State) -> State:
        """Layers by the run's memory mode; without autograd by the plainest."""
        if not layers:
            return state
        if self.run.memory == "invert" and self.family.invert and torch.is_grad_enabled():
            return self.family.invert(self, layers, observer, update, state)
        return self._way()([partial(self.run_layer, layer, observer, update) for layer in layers], state)

    def _way(self) -> Way:
        """How the run's memory mode runs a chain."""
        if not torch.is_grad_enabled() or self.run.memory != "checkpoint":
            return store
        snapshots = revolve_snapshots(self.run.checkpoint.every)
        if snapshots is not None:
            return partial(revolve, snapshots=snapshots)
        every = self.run.checkpoint.every
        if every == "sqrt":
            return lambda steps, state: uniform(steps, state, segment_length(len(steps)))
        return partial(uniform, every=every)
