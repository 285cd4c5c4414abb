"""The descent of a gradient: how far below the loss each call lies, found along autograd's graph as the gradient runs.

The depth of a call is the largest number of calls strictly between it and the loss. A node of the graph is made after
all nodes upstream of it, so going from the latest to the earliest visits each node once, after everything downstream.
No node is held longer than until the gradient has passed it: a node holds its part of the graph.
"""

import heapq
from collections.abc import Sequence
from typing import Any, NamedTuple

from vgexp.numerics import torch_private
from vgexp.watching.hooks.graph import MARK, Node, operation

_BITS: dict[type, int] = {}
_OPERATIONS: list[str] = []
_LEAVES: set[type] = set()
_TRANSPOSES: set[type] = set()


class Way(NamedTuple):
    """The way of a gradient from the loss to a call."""

    depth: int
    """The largest number of calls between it and the loss."""
    above: int
    """The calls that its gradient came from without another one between: a bit a call."""
    through: int
    """The operations between those and itself: a bit a type of node, see `operations`."""

    def joined(self, other: "Way") -> "Way":
        """Both ways as one: the longer depth, and all that lies on either."""
        depth = self.depth if self.depth > other.depth else other.depth
        return Way(depth, self.above | other.above, self.through | other.through)


LOSS = Way(0, 0, 0)


class Descent:
    """One backward pass on its way down: the ways to the calls that it has passed."""

    def __init__(self, calls: Sequence[object]) -> None:
        """`calls` are those of this step, by number. Marks of any other are passed over."""
        self._calls = calls
        self.ways: dict[int, Way] = {}
        """By the call's number, its bit in `Way.above`."""
        self._next: list[int] = []
        self._waiting: dict[int, tuple[Node, Way]] = {}
        self._passed: set[int] = set()

    def arrive(self, node: Node) -> None:
        """The gradient has come down to the node of a call: the ways to all nodes made later are known now."""
        reached = torch_private.sequence(node)
        if reached in self._passed:
            return
        if reached not in self._waiting:
            self._meet(reached, node, LOSS)
        while self._next and -self._next[0] >= reached:
            made = -heapq.heappop(self._next)
            node, way = self._waiting.pop(made)
            below = self._pass(made, node, way)
            for upstream, _ in node.next_functions:
                if not (upstream is None or _is_weight(upstream)):
                    self._meet(torch_private.sequence(upstream), upstream, below)

    def _meet(self, made: int, node: Node, way: Way) -> None:
        waiting = self._waiting.get(made)
        if waiting is None:
            heapq.heappush(self._next, -made)
        else:
            way = waiting[1].joined(way)
        self._waiting[made] = node, way

    def _pass(self, made: int, node: Node, way: Way) -> Way:
        """The way to what lies upstream of a node, from that to it."""
        marked = node.metadata.get(MARK)
        number = None if marked is None else self._number(marked)
        if number is None:
            bit = _BITS.get(type(node)) or _new_bit(type(node))
            return way if way.through & bit else Way(way.depth, way.above, way.through | bit)
        self._passed.add(made)
        self.ways[number] = self.ways[number].joined(way) if number in self.ways else way
        return Way(way.depth + 1, 1 << number, 0)

    def _number(self, marked: Any) -> int | None:
        """The number of the call that a mark is of; None for one of another step, or of another watched model."""
        call = marked[0]
        return call.index if self._calls[call.index : call.index + 1] == [call] else None


def _is_weight(node: Node) -> bool:
    """Whether a node is a leaf, or a leaf transposed as the weights of a linear layer are: half of the nodes are."""
    kind = type(node)
    if kind not in _BITS:
        _new_bit(kind)
    if kind in _TRANSPOSES:
        node = node.next_functions[0][0]
        return node is None or type(node) in _LEAVES
    return kind in _LEAVES


def _new_bit(kind: type) -> int:
    _OPERATIONS.append(operation(kind))
    if kind.__name__ == "AccumulateGrad":
        _LEAVES.add(kind)
    elif kind.__name__ == "TBackward0":
        _TRANSPOSES.add(kind)
    _BITS[kind] = 1 << (len(_OPERATIONS) - 1)
    return _BITS[kind]


def operations(through: int) -> list[str]:
    """The names of operations, from their bits.

    >>> operations(0)
    []
    """
    return [name for i, name in enumerate(_OPERATIONS) if through >> i & 1]


def numbers(above: int) -> list[int]:
    """The numbers of calls, from their bits.

    >>> numbers(0b101)
    [0, 2]
    """
    return [i for i in range(above.bit_length()) if above >> i & 1]
