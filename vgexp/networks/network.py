"""A stack of networks of one family. A single network is a stack of one.

Legend: M members, B batch, I inputs, N units of a state, C outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from vgexp.config import Run, revolve_snapshots
from vgexp.networks.activations import activation
from vgexp.networks.checkpoint import State, Step, revolve, segment_length, store, uniform
from vgexp.networks.family import Family, Pass
from vgexp.networks.normalizations import Statistics
from vgexp.networks.parts import Key, Matrix, Norm, Observer, Part, Update

Way = Callable[[Sequence[Step], State], State]
"""How a chain of steps is run: what is kept for the backward pass."""


class Network:
    """The parts of M networks, and the family's way through them."""

    def __init__(self, family: Family, run: Run, parts: Sequence[Part]) -> None:
        """`run` is that of any member: they differ in member fields alone, which the parts hold."""
        self.family, self.run = family, run
        self.parts: dict[Key, Part] = {part.key: part for part in parts}
        self.activation = activation(run.model)

    @property
    def matrices(self) -> list[Matrix]:
        """The parts that multiply, from the input up, the readout last."""
        return [part for part in self.parts.values() if isinstance(part, Matrix)]

    def __call__(
        self,
        x_MBI: Tensor,
        observer: Observer | None = None,
        update: Update | None = None,
        statistics: dict[Key, Statistics] | None = None,
        follow: bool = True,
    ) -> Tensor:
        """The outputs z_MBC. `observer` sees every layer forward and backward, `update` trains them backward.

        Batch normalisation uses the statistics of the batch unless others are given: see `running`, which follow the
        batches of a pass that trains, unless told not to.
        """
        follow = follow and update is not None
        p = Pass(self, x_MBI.shape[1], observer, update, statistics=statistics, follow=follow)
        depth, state = self.run.model.depth, (x_MBI,)
        for layer in range(1, self.family.stored + 1):
            state = self.run_layer(p, layer, state)
        state = self._chain(p, range(self.family.stored + 1, depth + 1), state)
        return self.family.readout(p, depth + 1, state)

    def run_layer(self, p: Pass, layer: int, state: State) -> State:
        """One layer below the readout: the state above it."""
        above = (self.family.stem if layer == 1 else self.family.block)(p, layer, state)
        if p.observer is not None:
            if p.first:
                p.observer.block(layer, state, above)
            for tensor in above:
                if tensor.requires_grad:
                    tensor.register_hook(partial(p.observer.state_gradient, layer))
        return above

    def running(self) -> dict[Key, Statistics]:
        """The running statistics of batch normalisation, with which a network is evaluated."""
        norms = [part for part in self.parts.values() if isinstance(part, Norm)]
        return {norm.key: norm.running for norm in norms if norm.running is not None}

    def jacobian(self, layer: int, state: State) -> Tensor:
        """dx(l) / dx(l - 1) of a block l for the first example of a batch of states below it, (M, N, N), rows above.

        The block runs on N copies of the example, one a row. Batch normalisation keeps the statistics of the batch.
        """
        p = Pass(self, state[0].shape[1], statistics={})
        with torch.no_grad():
            above = self.family.block(p, layer, state)  # notes the statistics
        units = [tensor.shape[-1] for tensor in above]
        rows = sum(units)
        plain_saving = saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor)
        with torch.enable_grad(), plain_saving:  # not those of a checkpointed pass, which may be under way
            below = [tensor[:, :1].detach().expand(-1, rows, -1).clone().requires_grad_() for tensor in state]
            copies = self.family.block(p, layer, tuple(below))
            one_NN = torch.eye(rows, dtype=above[0].dtype, device=above[0].device)
            directions = [part.expand_as(copy) for part, copy in zip(one_NN.split(units, 1), copies, strict=True)]
            return torch.cat(torch.autograd.grad(copies, below, directions), -1)

    def to(self, device: torch.device | str) -> "Network":
        """A copy on another device; on `meta`, its shapes alone."""
        scratch: dict[Any, Tensor] = {}
        return Network(self.family, self.run, [part.to(device, scratch) for part in self.parts.values()])

    def _chain(self, p: Pass, layers: Sequence[int], state: State) -> State:
        """Layers by the run's memory mode; without autograd by the plainest."""
        if not layers:
            return state
        if self.run.memory == "invert" and self.family.invert and torch.is_grad_enabled():
            return self.family.invert(p, layers, state)

        def step(layer: int) -> Step:
            return lambda state, first: self.run_layer(replace(p, first=first), layer, state)

        return self._way()([step(layer) for layer in layers], state)

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
