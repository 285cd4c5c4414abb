"""Blueprints: the parts of a network before they have numbers, and the draw that gives them theirs.

Legend: M members, I fan-in, O fan-out, N entries of a vector.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vgexp.config import InitConfig, Run
from vgexp.networks.initializers import resolved, weight_variance, weights
from vgexp.networks.normalizations import NORMS, Normalization, Statistics
from vgexp.networks.parts import Key, Matrix, Norm, Part, Vector
from vgexp.numerics import generator

STANDARD = "standard"
"""The law of the first and the last matrix where `init.scope` is hidden."""

PER_DEPTH, LEARNED = "1/sqrt(L)", "learned"
"""What `model.branch` may be beside a number."""

SCALAR_RATE = 0.1
"""What the learning rate is multiplied by for the scalars of Fixup: Zhang et al. (2019)."""


@dataclass(frozen=True)
class Blueprint:
    """One part of one run's network: its place, its shape, the law of its first weights."""

    layer: int
    name: str
    fan_in: int
    """Rows; 1 for a vector."""
    fan_out: int
    """Columns: the entries of a vector."""
    law: InitConfig | float | Normalization
    """Of a matrix the law of its weights and biases; of a vector the number that all its entries start as; of a norm
    what it averages over."""
    rate: float = 1.0
    """What the learning rate is multiplied by."""
    bias_rate: float | None = None
    """That of the biases of a matrix, or of the shift of a norm; None: the weights'."""
    bias: float = 0.0
    """The mean of a matrix's first biases."""

    @property
    def key(self) -> Key:
        """Its layer and its name there."""
        return (self.layer, self.name)

    @property
    def is_matrix(self) -> bool:
        """Whether it is drawn from a law; norms and scalars start at numbers."""
        return isinstance(self.law, InitConfig)

    @property
    def entries(self) -> int:
        """Numbers that are trained: weights, and a bias for each unit of a matrix or of a norm that shifts."""
        biased = self.law.centered if isinstance(self.law, Normalization) else self.is_matrix
        return (self.fan_in + biased) * self.fan_out

    @property
    def gains(self) -> tuple[float, float]:
        """What a matrix multiplies mean squares by, forward and backward: fan_in Var W and fan_out Var W."""
        assert isinstance(self.law, InitConfig)
        variance = weight_variance(self.law.name, self.law.sigma_w, self.fan_in, self.fan_out)
        return self.fan_in * variance, self.fan_out * variance

    @property
    def bias_variance(self) -> float:
        """Of the first biases of a matrix, about their mean."""
        assert isinstance(self.law, InitConfig)
        return self.law.sigma_b**2

    @property
    def rates(self) -> dict[str, float]:
        """What the learning rate of each tensor is multiplied by."""
        return {"weight": self.rate, "bias": self.rate if self.bias_rate is None else self.bias_rate}

    def draw(self, seed: int) -> tuple[Tensor, Tensor | None]:
        """The first weights in float64, and biases of a matrix: a function of the seed and of the part's place."""
        if not isinstance(self.law, InitConfig):
            start = 1.0 if isinstance(self.law, Normalization) else self.law
            return torch.full((1, self.fan_out), start, dtype=torch.float64), None
        place = (zlib.crc32(self.name.encode()),) if self.name else ()
        generated = generator("weights", seed, self.layer, *place)
        law = self.law
        weight_IO = weights(law.name, self.fan_in, self.fan_out, generated, law.sigma_w, law.distribution)
        bias_O = law.sigma_b * torch.randn(self.fan_out, generator=generated, dtype=torch.float64)
        return weight_IO, self.bias + bias_O


def widths(run: Run) -> list[int]:
    """Units of each hidden layer."""
    width = run.model.width
    return [width] * run.model.depth if isinstance(width, int) else list(width)


def law(run: Run, layer: int) -> InitConfig:
    """The law of a layer's matrices, in numbers: `init.scope=hidden` leaves the first and the last matrix standard."""
    return InitConfig(STANDARD, sigma_b=run.init.sigma_b) if is_spared(run, layer) else resolved(run)


def is_spared(run: Run, layer: int) -> bool:
    """Whether the run's law is not for the matrices of a layer."""
    return run.init.scope == "hidden" and layer in (1, run.model.depth + 1)


def branch_scale(run: Run) -> float:
    """What a branch is multiplied by at first: `model.branch`, 1/sqrt(L) for L blocks, 0 where it is learned."""
    branch = run.model.branch
    if isinstance(branch, str):
        return max(1, run.model.depth - 1) ** -0.5 if branch == PER_DEPTH else 0.0
    return float(branch)  # squares of integers would have no end


def scales(run: Run, layer: int) -> list[Blueprint]:
    """The scalar that is learned in place of a number: ReZero (Bachlechner et al., 2020), with a norm SkipInit (De &
    Smith, 2020)."""
    return [Blueprint(layer, "alpha", 1, 1, 0.0)] if run.model.branch == LEARNED else []


def scalars(run: Run, layer: int, *shifts: str, branch: bool = False) -> list[Blueprint]:
    """The scalars of Fixup in a layer, where the run has them: the factor of a branch, and a bias for each name. Zhang
    et al. (2019), section 3."""
    if run.model.scalars == "none":
        return []
    factor = [Blueprint(layer, "factor", 1, 1, 1.0, SCALAR_RATE)] if branch else []
    return factor + [Blueprint(layer, name, 1, 1, 0.0, SCALAR_RATE) for name in shifts]


def norms(run: Run, layer: int, units: int, *names: str) -> list[Blueprint]:
    """The norms of a layer, by name; none where `model.norm` is none."""
    normalization = NORMS[run.model.norm]
    return [] if normalization is None else [Blueprint(layer, name, 1, units, normalization) for name in names]


def assemble(
    members: Sequence[Sequence[Blueprint]], seeds: Sequence[int] | None, dtype: torch.dtype, device: torch.device | str
) -> list[Part]:
    """The parts of a stack from the blueprints of its members, which differ in laws and rates alone.

    Every member's weights come from its seed, drawn on the CPU. Without seeds nothing is drawn: the tensors have
    shapes, and on the `meta` device nothing else.
    """
    scratch: dict[Any, Tensor] = {}
    parts: list[Part] = []
    for same_place in zip(*members, strict=True):
        one = same_place[0]
        where = "cpu" if seeds is not None else device
        weight_MIO = torch.empty(len(members), one.fan_in, one.fan_out, dtype=dtype, device=where)
        bias_M1O = torch.zeros(len(members), 1, one.fan_out, dtype=dtype, device=where)
        for m, seed in enumerate(seeds or ()):
            weight_MIO[m], bias_1O = same_place[m].draw(seed)
            if bias_1O is not None:
                bias_M1O[m] = bias_1O
        weight_MIO, bias_M1O = weight_MIO.to(device), bias_M1O.to(device)
        rates = [blueprint.rates for blueprint in same_place]
        rates_M11 = {
            name: torch.tensor([rate[name] for rate in rates], dtype=torch.float64, device=device).view(-1, 1, 1)
            for name in one.rates
        }
        if one.is_matrix:
            parts.append(Matrix(one.layer, one.name, weight_MIO, bias_M1O, rates_M11, scratch))
        elif isinstance(one.law, Normalization):
            running = Statistics(torch.zeros_like(weight_MIO), torch.ones_like(weight_MIO))
            shift_M1O = bias_M1O if one.law.centered else None
            kept = running if one.law.over_examples else None
            parts.append(Norm(one.layer, one.name, one.law, weight_MIO, shift_M1O, rates_M11, kept))
        else:
            parts.append(Vector(one.layer, one.name, weight_MIO, rates_M11))
    return parts
