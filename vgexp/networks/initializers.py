"""Initialisers: the laws of the first weights.

Every law is a shape (a tensor of variance 1 made from one Gaussian draw) times a scale, Var W = sigma_w^2
variance(fan_in, fan_out). All laws of one seed share that draw, so that comparing two of them is a paired
comparison.

Legend: I fan-in, O fan-out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from vgexp.config import own

SPARSE_INPUTS = 15
"""Non-zero incoming weights of a unit: Martens (2010), section 5."""


@dataclass(frozen=True)
class Initializer:
    """A law of weights; `init.sigma_w` replaces its own `sigma_w`."""

    sigma_w: float
    variance: Callable[[int, int], float]
    """Var W at sigma_w = 1, from fan-in and fan-out."""
    distributions: tuple[str, ...] = ("uniform", "normal")
    """What `init.distribution` may be; the first is the law's own."""
    shape: Callable[[Tensor, Generator], Tensor] | None = None
    """Makes unit-variance weights from the Gaussian draw g_IO, where independent entries are not the
    point."""
    version: int = 1
    """Raised when the law changes: its runs are then other runs."""


def uniform(g: Tensor) -> Tensor:
    """Gaussian draws to uniform ones of variance 1, sqrt(3) (2 Phi(g) - 1), without a second draw."""
    return math.sqrt(3) * torch.erf(g / math.sqrt(2))


def semi_orthogonal(g_IO: Tensor, _: Generator) -> Tensor:
    """The orthogonal factor of g, Haar distributed, scaled to entries of variance 1: Saxe et al. (2013)."""
    tall = g_IO if g_IO.shape[0] >= g_IO.shape[1] else g_IO.T
    q, r = torch.linalg.qr(tall)
    q = q * r.diagonal().sign()  # without the signs QR is not Haar distributed
    return math.sqrt(max(g_IO.shape)) * (q if tall is g_IO else q.T)


def sparse(g_IO: Tensor, generator: Generator) -> Tensor:
    """Keeps `SPARSE_INPUTS` Gaussian weights a unit and scales them to variance 1 over all: Martens
    (2010)."""
    fan_in = g_IO.shape[0]
    kept = min(SPARSE_INPUTS, fan_in)
    rank_IO = torch.rand(g_IO.shape, generator=generator).argsort(dim=0).argsort(dim=0)
    return torch.where(rank_IO < kept, g_IO, 0.0) * math.sqrt(fan_in / kept)


def fan_in_law(fan_in: int, fan_out: int) -> float:
    return 1 / fan_in


INITIALIZERS: dict[str, Initializer] = {
    # Glorot & Bengio (2010), eq. 1: U(+-1/sqrt(fan_in)), the habit the paper argues against.
    "standard": Initializer(1 / math.sqrt(3), fan_in_law),
    # Glorot & Bengio (2010), eqs. 12 and 16, "normalized".
    "glorot": Initializer(1.0, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    # He et al. (2015), eq. 10.
    "he": Initializer(math.sqrt(2), fan_in_law, ("normal", "uniform")),
    # LeCun et al. (1998), eq. 16.
    "lecun": Initializer(1.0, fan_in_law, ("normal", "uniform")),
    # Poole et al. (2016): the Gaussian law of mean-field theory, sigma_w free.
    "normal": Initializer(1.0, fan_in_law, ("normal",)),
    "orthogonal": Initializer(1.0, lambda i, o: 1 / max(i, o), ("haar",), semi_orthogonal),
    "sparse": Initializer(math.sqrt(SPARSE_INPUTS), fan_in_law, ("normal",), sparse),
}
own(INITIALIZERS)


def weight_variance(name: str, sigma_w: float | None, fan_in: int, fan_out: int) -> float:
    """Var W of a law; `sigma_w = None` is the law's own scale."""
    law = INITIALIZERS[name]
    return (law.sigma_w if sigma_w is None else sigma_w) ** 2 * law.variance(fan_in, fan_out)


def weights(
    name: str,
    fan_in: int,
    fan_out: int,
    generator: Generator,
    sigma_w: float | None = None,
    distribution: str | None = None,
) -> Tensor:
    """One weight matrix W_IO in float64, so that z = h W has the variance that the law promises."""
    law = INITIALIZERS[name]
    g_IO = torch.randn(fan_in, fan_out, generator=generator, dtype=torch.float64)
    if law.shape is not None:
        unit_IO = law.shape(g_IO, generator)
    else:
        unit_IO = uniform(g_IO) if (distribution or law.distributions[0]) == "uniform" else g_IO
    return unit_IO * math.sqrt(weight_variance(name, sigma_w, fan_in, fan_out))
