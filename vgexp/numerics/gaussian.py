"""Gaussian integrals: means over a normal variable, of which mean-field theory is made.

Legend: K variances, N quadrature nodes.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

EDGE = 12.0
"""Standard deviations at which the integral ends; the Gaussian weight beyond is below 1e-32."""
HALVINGS = 40
"""How often panels are halved towards 0, where phi(sqrt(q) u) of a large q has its step."""
NODES = 16
"""Gauss-Legendre nodes of a panel."""


def gaussian_mean(f: Callable[[Tensor], Tensor], q_K: Tensor, kinks: tuple[float, ...] = ()) -> Tensor:
    """E[f(sqrt(q) u)] for u ~ N(0, 1) and each q, (K,), in float64.

    `kinks` are the points other than 0 where f is not smooth. The integral is composite Gauss-Legendre on panels that
    end at 0 and at the kinks, and that are halved towards 0. Gauss-Hermite would be wrong in the third digit for an f
    with kinks.

    >>> float(gaussian_mean(torch.relu, torch.tensor([2 * math.pi], dtype=torch.float64)))  # sqrt(q / 2 pi)
    1.0
    """
    root_K1 = q_K.double().sqrt()[:, None]
    graded = EDGE * 0.5 ** torch.arange(HALVINGS + 1, dtype=torch.float64)
    fixed = torch.cat([-graded, torch.zeros(1, dtype=torch.float64), graded])
    moved = (torch.tensor(kinks, dtype=torch.float64) / root_K1).clamp(-EDGE, EDGE)
    edges = torch.cat([fixed.expand(len(q_K), -1), moved], dim=1).sort(dim=1).values
    node, weight = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES))
    half = edges.diff(dim=1)[..., None] / 2
    u_KN = (edges[:, :-1, None] + half * (1 + node)).flatten(1)
    density_KN = torch.exp(-0.5 * u_KN**2) / math.sqrt(2 * math.pi) * (half * weight).flatten(1)
    return (f(root_K1 * u_KN) * density_KN).sum(1)
