"""Gaussian integrals: means over one normal variable or two, of which mean-field theory is made.

Legend: K variances, N quadrature nodes.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

Function = Callable[[Tensor], Tensor]

EDGE = 12.0
"""Standard deviations at which the integral ends; the Gaussian weight beyond is below 1e-32."""
PANELS = 4
"""Panels of the Gaussian weight on each side of its mean: [0, 1.5], [1.5, 3], [3, 6], [6, 12]."""
FINEST = 2.0**60
"""Panels are halved to this share of their width at most."""
NODES = 16
"""Gauss-Legendre nodes of a panel."""


def gaussian_mean(
    f: Function, q_K: Tensor, kinks: tuple[float, ...] = (), mean_K: Tensor | None = None, scale: float = 1.0
) -> Tensor:
    """E[f(m + sqrt(q) u)] for u ~ N(0, 1), each q and each m (0 by default), (K,), in float64.

    `kinks` are the points other than 0 where f is not smooth, `scale` a length over which f is smooth around 0 and
    around them. The integral is composite Gauss-Legendre on panels that end at these points and are halved towards
    them. Gauss-Hermite would be wrong in the third digit for an f with kinks.

    >>> float(gaussian_mean(torch.relu, torch.tensor([2 * math.pi], dtype=torch.float64)))  # sqrt(q / 2 pi)
    1.0
    """
    root_K1 = q_K.double().sqrt()[:, None]
    mean_K1 = torch.zeros_like(root_K1) if mean_K is None else mean_K.double()[:, None]
    widest = EDGE * float(root_K1.nan_to_num(nan=0.0).max()) / scale if len(q_K) else 0.0
    fixed, graded, node, weight = _panels(math.ceil(math.log2(min(max(widest, 1.0), FINEST))) + 1)
    points = torch.tensor((0.0, *kinks), dtype=torch.float64)
    around = ((points - mean_K1) / root_K1.clamp(min=1e-300))[..., None] + graded
    edges = torch.cat([fixed.expand(len(q_K), -1), around.flatten(1).clamp(-EDGE, EDGE)], 1).sort(1).values
    half = edges.diff(dim=1)[..., None] / 2
    u_KN = (edges[:, :-1, None] + half * (1 + node)).flatten(1)
    density_KN = torch.exp(-0.5 * u_KN**2) * (half * weight).flatten(1)
    empty_KN = (u_KN == 0) | (density_KN == 0)  # where q is infinite, f may be too
    z_KN = torch.where(empty_KN, 0.0, root_K1 * u_KN)
    return (f(mean_K1 + z_KN) * density_KN).sum(1)


def gaussian_product(f: Function, q: float, c: float, kinks: tuple[float, ...] = ()) -> float:
    """E[f(z_1) f(z_2)] for normal z_1, z_2 of variance q and correlation c in [-1, 1].

    The two share sqrt(q |c|) u and are independent beside it: E[g(m) g(+-m)] with g(m) = E[f(m + sqrt(q (1 - |c|)) v)].
    """
    own = torch.tensor([q * (1 - abs(c))], dtype=torch.float64)

    def both(m_1N: Tensor) -> Tensor:
        def smoothed(m: Tensor) -> Tensor:
            return gaussian_mean(f, own.expand(m.numel()), kinks, m.flatten()).view(m.shape)

        g = smoothed(m_1N)
        return g * (g if c >= 0 else smoothed(-m_1N))

    return _over_shared(both, q, c, kinks if c >= 0 else (*kinks, *(-kink for kink in kinks)))


def gaussian_gap(f: Function, q: float, gap: float, kinks: tuple[float, ...] = ()) -> float:
    """E[f(z_1)^2] - E[f(z_1) f(z_2)] for a correlation 1 - gap, without the cancellation where the gap is small:
    the mean over what the two share of the variance of f over what they do not. The gap is in [0, 1]."""
    own = torch.tensor([q * gap], dtype=torch.float64)

    def variance(m_1N: Tensor) -> Tensor:
        own_N = own.expand(m_1N.numel())
        g_N = gaussian_mean(f, own_N, kinks, m_1N.flatten())
        spread = gaussian_mean(lambda z: (f(z) - g_N[:, None]) ** 2, own_N, kinks, m_1N.flatten())
        return spread.view(m_1N.shape)

    return _over_shared(variance, q, 1 - gap, kinks)


def _over_shared(g: Function, q: float, c: float, kinks: tuple[float, ...]) -> float:
    """The mean over what two variables share, of a g that the rest has smoothed."""
    smooth = min(1.0, max(math.sqrt(q * (1 - abs(c))), 1e-12))
    return float(gaussian_mean(g, torch.tensor([q * abs(c)], dtype=torch.float64), kinks, scale=smooth))


@cache
def _panels(halvings: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The ends of the weight's panels, the distances of panels' ends from a point, and a panel's nodes and weights."""
    outer = EDGE * 0.5 ** torch.arange(PANELS, dtype=torch.float64)
    near = EDGE * 0.5 ** torch.arange(halvings, dtype=torch.float64)
    zero = torch.zeros(1, dtype=torch.float64)
    node, weight = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES))
    both_ways = torch.cat([-near, zero, near])
    return torch.cat([-outer, zero, outer]), both_ways, node, weight / math.sqrt(2 * math.pi)
