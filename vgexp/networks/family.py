"""What a family of networks is: a stem (layer 1), blocks (layers 2..depth) and a linear readout (layer depth + 1).

A block maps the state x(l - 1) to x(l) and owns parts. Everything else asks the family: optimisers, probes, records,
costs, memory modes and theory test no family's name.

Legend: M members, B batch, I inputs, N units, O outputs of a matrix, K examples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from vgexp.config import Run
from vgexp.networks.blueprints import LEARNED, Blueprint, branch_scale
from vgexp.networks.checkpoint import State
from vgexp.networks.normalizations import Statistics
from vgexp.networks.parts import Key, Matrix, Norm, Observer, Update, Vector
from vgexp.numerics import Averages

if TYPE_CHECKING:
    from vgexp.networks.network import Network


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass through a network: in what a block computes with, observers look and parts train."""

    network: "Network"
    batch_size: int
    observer: Observer | None = None
    update: Update | None = None
    first: bool = True
    """False where a block is run again for the backward pass: observers look once."""
    statistics: dict[Key, Statistics] | None = None
    """What batch normalisation is to use in place of the batch's own; those that are missing are noted here."""
    follow: bool = False
    """Whether the running statistics of batch normalisation move towards those of the batch."""

    def linear(self, layer: int, h_MBI: Tensor, name: str = "") -> Tensor:
        """z = h W + b of a matrix, (M, B, O)."""
        matrix = self.network.parts[layer, name]
        assert isinstance(matrix, Matrix)
        z_MBO = matrix(h_MBI, self.observer, self.update)
        if self.first and self.observer is not None:
            self.observer.output(matrix, z_MBO)
        return z_MBO

    def phi(self, layer: int, z_MBN: Tensor, name: str = "") -> Tensor:
        """h = phi(z), where the matrix `name` of `layer` completed z."""
        h_MBN = self.network.activation(z_MBN)
        if self.first and self.observer is not None:
            matrix = self.network.parts[layer, name]
            assert isinstance(matrix, Matrix)
            self.observer.activation(matrix, z_MBN, h_MBN)
        return h_MBN

    def norm(self, layer: int, x_MBN: Tensor, name: str = "norm") -> Tensor:
        """The normalised signal, (M, B, N); the signal itself where the network has no such norm."""
        norm = self.network.parts.get((layer, name))
        if norm is None:
            return x_MBN
        assert isinstance(norm, Norm)
        given = None if self.statistics is None else self.statistics.get(norm.key)
        y_MBN, taken = norm(x_MBN, self.observer, self.update, given)
        if taken is not None:
            if self.statistics is not None:
                self.statistics[norm.key] = taken
            if self.first and self.follow:
                norm.follow(taken, self.batch_size)
        return y_MBN

    def vector(self, layer: int, name: str) -> Tensor:
        """A vector of a layer, (M, 1, N)."""
        vector = self.network.parts[layer, name]
        assert isinstance(vector, Vector)
        return vector(self.batch_size, self.observer, self.update)

    def shifted(self, layer: int, x_MBN: Tensor, name: str) -> Tensor:
        """The signal plus a scalar that is learned; the signal itself where the network has none such."""
        return x_MBN + self.vector(layer, name) if (layer, name) in self.network.parts else x_MBN

    def scaled(self, layer: int, branch_MBN: Tensor) -> Tensor:
        """A branch times `model.branch`, or times the scalar that is learned in its place; and times Fixup's factor."""
        if (layer, "factor") in self.network.parts:
            branch_MBN = self.vector(layer, "factor") * branch_MBN
        if self.network.run.model.branch == LEARNED:
            return self.vector(layer, "alpha") * branch_MBN
        return branch_scale(self.network.run) * branch_MBN


Block = Callable[[Pass, int, State], State]
"""A layer: the state below it to the state above it. The stem's state below is the batch, (M, B, I)."""
MeanSquares = dict[Key, dict[str, Tensor]]
"""Of each part, by example (K,): mean squares `z`, `h`, `dz`, and of the matrix that ends a block `dx`; `h_mean`."""
Recursion = Callable[
    [Mapping[Key, Blueprint], Run, Averages, Tensor], tuple[MeanSquares, Callable[[Tensor], MeanSquares]]
]
"""Mean-field theory of a family: blueprints, run, averages of phi and the mean squares of the inputs (K,) to the
forward signals, and to the function that maps the readout's mean squares of dz (K,) to the backward ones."""


@dataclass(frozen=True)
class Family:
    """One kind of network. To add one, write a file with one of these, and an entry of FAMILIES."""

    blueprints: Callable[[Run, int, int], Sequence[Blueprint]]
    """The parts of a run's network, from the number of inputs and of classes, layer by layer."""
    stem: Block
    block: Block
    readout: Callable[[Pass, int, State], Tensor]
    """The state above the last block to the outputs (M, B, O)."""
    reads: frozenset[str] | None = None
    """The fields of `model.*` beside depth, width and activation that matter to it; None: all of them."""
    signal: str = "dz"
    """The column that shows what happens to its gradient: dz, or dx where there are skips."""
    chain: bool = False
    """Whether a gradient passes from layer to layer alone, on no path that skips one."""
    stored: int = 0
    """The first layers, whose activations every memory mode stores."""
    invert: Callable[[Pass, Sequence[int], State], State] | None = None
    """Runs the given layers so that their backward pass rebuilds the states."""
    recursion: Recursion | None = None
    """Its mean-field theory in closed form; None where theory is to sample (vgexp.theory.sampled)."""
    solved: Callable[[Run], bool] = lambda run: run.model.norm == "none"
    """Whether the recursion is that of a run."""
    require: Callable[[Run], None] = lambda run: None
    """Raises ConfigError for a run that it cannot build."""
    version: int = 1
    """Raised when the family's mathematics change: its runs are then other runs."""
