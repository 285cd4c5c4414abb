"""Initialisers: the laws of the first weights.

Every law is a shape (a tensor of variance 1 made from one Gaussian draw) times a scale, Var W = sigma_w^2
variance(fan_in, fan_out). All laws of one seed share that draw, so that comparing two of them is a paired
comparison.

Legend: I fan-in, O fan-out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Generator, Tensor

from vgexp.config import ConfigError, InitConfig, Run, own
from vgexp.networks import arrangements
from vgexp.networks.activations import activation
from vgexp.networks.arrangements import Arrangement
from vgexp.numerics import critical_sigma_w, doubly_critical

SPARSE_INPUTS = 15
"""Non-zero incoming weights of a unit: Martens (2010), section 5."""


@dataclass(frozen=True)
class Initializer:
    """A law of weights; `init.sigma_w` replaces its own `sigma_w`."""

    sigma_w: float
    """Its own scale; where it is made from the run, that of the default run."""
    variance: Callable[[int, int], float]
    """Var W at sigma_w = 1, from fan-in and fan-out."""
    distributions: tuple[str, ...] = ("uniform", "normal")
    """What `init.distribution` may be; the first is the law's own."""
    shape: Callable[[Tensor, Generator], Tensor] | None = None
    """Makes unit-variance weights from the Gaussian draw g_IO, where independent entries are not the
    point."""
    of: Callable[[Run], tuple[float, float]] | None = None
    """sigma_w and sigma_b of a run that leaves sigma_w to the law, where these are made from the run. Raises
    ConfigError for a run that has none."""
    arrange: Arrangement | None = None
    """What it makes of the parts of a whole network, where matrices differ by more than their fans."""
    unit_variance: bool = False
    """Whether weights are rescaled by what they put out on the run's first batch: see `vgexp.networks.lsuv`."""
    require: Callable[[Run], None] = lambda run: None
    """Raises ConfigError for a network that it is not for."""
    reads: frozenset[str] = frozenset()
    """The fields of the config, beside those that every law has, that it uses."""
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


def orthogonal_law(fan_in: int, fan_out: int) -> float:
    return 1 / max(fan_in, fan_out)


def require_small_biases(run: Run) -> None:
    """Weights can bring outputs to a variance of 1 that biases alone stay below."""
    if run.init.sigma_b >= 1:
        raise ConfigError("init.sigma_b", run.init.sigma_b, f"a number below 1 with init.name={run.init.name}")


def critical(run: Run) -> tuple[float, float]:
    """The sigma_w at which chi_1 = 1, so that gradients of a wide plain network keep their size, and the sigma_b.

    sigma_w^2 E[phi'(sqrt(q) u)^2] = 1 at the fixed point q = sigma_w^2 E[phi(sqrt(q) u)^2] + sigma_b^2 of lengths, for
    the run's activation and its `init.sigma_b`: Poole et al. (2016), Schoenholz et al. (2017), section 3. With GELU,
    SiLU and mish lengths leave such a point unless biases are large. With `init.sigma_b=0` these three have the sigma_w
    and sigma_b at which lengths are marginal too: Roberts, Yaida & Hanin (2022), section 5.3. Raises ConfigError for
    smaller biases than those, and for an activation that has no such point, as softplus.
    """
    name, phi, sigma_b = run.model.activation, activation(run.model), run.init.sigma_b
    pair = _marginal(phi)
    if pair is not None and sigma_b == 0:
        return pair
    if pair is not None and sigma_b < pair[1]:
        least = math.ceil(1e4 * pair[1]) / 1e4
        accepts = f"0 for the law's own, or at least {least}, with init.name=critical and model.activation={name}"
        raise ConfigError("init.sigma_b", sigma_b, accepts)
    sigma_w = _critical_sigma_w(phi, sigma_b)
    if sigma_w is None:
        others = ", ".join(other for other in INITIALIZERS if other != run.init.name)
        raise ConfigError("init.name", run.init.name, f"{others} with model.activation={name}, which is never critical")
    return sigma_w, sigma_b


_critical_sigma_w, _marginal = cache(critical_sigma_w), cache(doubly_critical)


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
    "orthogonal": Initializer(1.0, orthogonal_law, ("haar",), semi_orthogonal),
    "sparse": Initializer(math.sqrt(SPARSE_INPUTS), fan_in_law, ("normal",), sparse),
    "critical": Initializer(1.0, fan_in_law, ("normal",), of=critical),
    "mup": Initializer(
        1.0, fan_in_law, ("normal", "uniform"), arrange=arrangements.mup, reads=frozenset({"init.base_width"})
    ),
    "fixup": Initializer(
        math.sqrt(2),
        fan_in_law,
        ("normal", "uniform"),
        arrange=arrangements.fixup,
        require=lambda run: arrangements.require_fixup(run, "init.name=fixup"),
    ),
    "lsuv": Initializer(
        1.0, orthogonal_law, ("haar",), semi_orthogonal, unit_variance=True, require=require_small_biases
    ),
}
own(INITIALIZERS)


def resolved(run: Run) -> InitConfig:
    """`init.*` of a run with the numbers of its law in place of what the run leaves to it: the scales that its network
    is drawn with and that theory reads. Raises ConfigError where the law has none for the run.

    >>> resolved(Run()).sigma_w
    1.0
    """
    init, law = run.init, INITIALIZERS[run.init.name]
    if init.sigma_w is not None:
        return init
    sigma_w, sigma_b = law.of(run) if law.of is not None else (law.sigma_w, init.sigma_b)
    return replace(init, sigma_w=sigma_w, sigma_b=sigma_b)


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
