"""Checkpointing: a chain of steps whose backward pass recomputes what the forward pass did not keep.

Chen et al. (2016) cut the chain into segments and keep their inputs; Griewank & Walther (2000) reverse it with s
snapshots and the fewest possible recomputed steps. Both give the gradients of storing everything, bit for bit: the same
operations on the same numbers.

Legend: n steps, s snapshots.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

State = tuple[Tensor, ...]
"""What is handed from step to step: one tensor, or the two halves of a reversible network."""
Step = Callable[[State, bool], State]
"""One layer. The flag says that it runs for the first time, so that observers look once."""


def store(steps: Sequence[Step], state: State) -> State:
    """Keeps everything: memory of n steps, none of them run twice."""
    for step in steps:
        state = step(state, True)
    return state


def uniform(steps: Sequence[Step], state: State, every: int) -> State:
    """Keeps the input of every segment of `every` steps: memory n / every + every, each step run twice."""
    for start in range(0, len(steps), every):
        segment = _Segment(steps[start : start + every])
        # A segment is recomputed when the backward pass first needs it, before any of its weights are updated.
        state = checkpoint(segment, *state, use_reentrant=False, preserve_rng_state=False)
    return state


def revolve(steps: Sequence[Step], state: State, snapshots: int) -> State:
    """Keeps at most `snapshots` states, the input among them; runs `extra_steps(n, s)` steps besides the n that are
    taped."""
    anchor = torch.empty(0, requires_grad=True)  # the chain's input needs no gradient, its weights do
    return _Revolve.apply(anchor, list(steps), snapshots, *state)  # pyright: ignore[reportReturnType]


def segment_length(n: int) -> int:
    """The length that minimises n / k + k."""
    return max(1, round(math.sqrt(n)))


@cache
def extra_steps(n: int, snapshots: int) -> int:
    """Forward steps beyond the n taped ones that reversing n steps takes at least, the first sweep's included.

    t n - C(s + t, s + 1) with the smallest t for which C(s + t, s) >= n: Griewank & Walther (2000), theorem 1, where s
    counts the input.

    >>> extra_steps(10, 1), extra_steps(1000, 10)
    (45, 3636)
    """
    t = 0
    while math.comb(snapshots + t, snapshots) < n:
        t += 1
    return t * n - math.comb(snapshots + t, snapshots + 1)


@cache
def split(n: int, snapshots: int) -> int:
    """Where the next snapshot goes in a chain of n steps: after as many as make the whole cheapest."""
    return min(range(1, n), key=lambda m: m + extra_steps(n - m, snapshots - 1) + extra_steps(m, snapshots))


class _Segment:
    """A few steps, which observers see only the first time."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps, self._first = steps, True

    def __call__(self, *state: Tensor) -> State:
        first, self._first = self._first, False
        for step in self._steps:
            state = step(state, first)
        return state


def moves(n: int, snapshots: int) -> Iterator[tuple[int, int, bool]]:
    """The moves that reverse n steps: from the snapshot before step `source` run up to step `target`, and there take
    another snapshot (True) or turn: run the step once more under autograd, and back.

    >>> list(moves(3, 2))
    [(0, 1, True), (1, 2, False), (1, 1, False), (0, 0, False)]
    """
    pending = [(0, n, snapshots)]
    while pending:
        low, high, free = pending.pop()
        if high - low == 1 or free == 1:
            for target in range(high - 1, low - 1, -1):
                yield low, target, False
        else:
            middle = low + split(high - low, free)
            pending += [(low, middle, free), (middle, high, free - 1)]
            yield low, middle, True


class _Reversal:
    """One sweep up and back through a chain, as a generator that waits at the top for the gradient."""

    def __init__(self, steps: Sequence[Step], snapshots: int, differentiable: bool) -> None:
        """`differentiable`: the chain's input wants a gradient too."""
        self._steps, self._snapshots, self._differentiable = steps, snapshots, differentiable
        self._reached = 0
        self.gradient: Sequence[Tensor | None] = ()

    def run(self, state: State) -> Generator[State, Sequence[Tensor | None], None]:
        """Yields the chain's output; sent its gradient, reverses all steps and leaves the input's in `gradient`."""
        kept = {0: state}
        del state
        for source, target, keep in moves(len(self._steps), self._snapshots):
            state = self._advance(kept[source], source, target)
            if target == source:
                del kept[source]
            if keep:
                kept[target] = state
                continue
            inputs = tuple(part.detach().requires_grad_(target > 0 or self._differentiable) for part in state)
            with torch.enable_grad():
                outputs = self._step(target, inputs)
            del state
            if target == len(self._steps) - 1:
                self.gradient = yield tuple(part.detach() for part in outputs)
            reached = [(out, grad) for out, grad in zip(outputs, self.gradient, strict=True) if grad is not None]
            torch.autograd.backward([out for out, _ in reached], [grad for _, grad in reached])
            self.gradient = tuple(part.grad for part in inputs)

    def _advance(self, state: State, low: int, high: int) -> State:
        with torch.no_grad():
            for index in range(low, high):
                state = self._step(index, state)
        return state

    def _step(self, index: int, state: State) -> State:
        first = index == self._reached
        self._reached = max(self._reached, index + 1)
        return self._steps[index](state, first)


class _Revolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, steps: list[Step], snapshots: int, *state: Tensor) -> Any:
        ctx.reversal = _Reversal(steps, snapshots, any(ctx.needs_input_grad[3:]))
        ctx.run = ctx.reversal.run(state)
        ctx.inputs = len(state)
        return next(ctx.run)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> Any:
        with suppress(StopIteration):
            ctx.run.send(gradient)
        return None, None, None, *ctx.reversal.gradient
