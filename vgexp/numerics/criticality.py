"""Criticality: the scales of weights and biases at which the signals of a wide plain network keep their size.

With chi_1 = sigma_w^2 E[phi'(sqrt(q*) u)^2], u ~ N(0, 1), at the fixed point q* = sigma_w^2 E[phi(sqrt(q*) u)^2] +
sigma_b^2 of the forward signal, gradients neither vanish nor explode where chi_1 = 1.

Legend: K lengths.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from vgexp.numerics.gaussian import gaussian_mean
from vgexp.numerics.roots import root

ROUNDING = 1e-12
"""What is smaller has no sign."""
STABLE = 1e-6
"""A slope of the length map that is larger than 1 by less is 1: that of a doubly critical network."""


class Curve(Protocol):
    """A function of one number, as an activation is."""

    @property
    def phi(self) -> Callable[[Tensor], Tensor]: ...

    @property
    def slope(self) -> Callable[[Tensor], Tensor]: ...

    @property
    def kinks(self) -> tuple[float, ...]: ...


def mean_square(curve: Curve, q_K: Tensor) -> Tensor:
    """E[phi(sqrt(q) u)^2]."""
    return gaussian_mean(lambda z: curve.phi(z) ** 2, q_K, curve.kinks)


def mean_square_slope(curve: Curve, q_K: Tensor) -> Tensor:
    """E[phi'(sqrt(q) u)^2]."""
    return gaussian_mean(lambda z: curve.slope(z) ** 2, q_K, curve.kinks)


def critical_sigma_w(curve: Curve, sigma_b: float = 0.0) -> float | None:
    """The sigma_w at which gradients neither vanish nor explode: chi_1 = 1, at a length that lengths close to it do not
    leave. None where there is none.

    Poole et al. (2016), eq. 6; Schoenholz et al. (2017), section 3. Found as the sign change of
    q - sigma_b^2 - E[phi^2] / E[phi'^2], and where that is positive down to q = 0, in the limit there.

    >>> from types import SimpleNamespace
    >>> tanh = SimpleNamespace(phi=torch.tanh, slope=lambda z: 1 - torch.tanh(z) ** 2, kinks=())
    >>> f"{critical_sigma_w(tanh):.4f}, {critical_sigma_w(tanh, 0.5):.4f}"
    '1.0000, 1.5497'
    """
    return critical_sigma_ws(curve, [sigma_b])[0]


def critical_sigma_ws(curve: Curve, sigmas_b: Sequence[float]) -> list[float | None]:
    """The `critical_sigma_w` of each sigma_b."""
    top = math.ceil(math.log10(max(1e4, 100 * max(map(abs, sigmas_b), default=0.0) ** 2)))
    q_K = torch.logspace(-9, top, 10 * (top + 9) + 1, dtype=torch.float64)
    slope_K = mean_square_slope(curve, q_K)
    if (slope_K - slope_K[0]).abs().max() < 1e-9:  # piecewise linear through 0: the same at any length
        return [float(slope_K[0].rsqrt())] * len(sigmas_b)
    second_K = mean_square(curve, q_K)
    found: list[float | None] = []
    for sigma_b in sigmas_b:

        def excess(q_K: Tensor, sigma_b: float = sigma_b) -> Tensor:
            return 1 - (sigma_b**2 + mean_square(curve, q_K) / mean_square_slope(curve, q_K)) / q_K

        q_star = _first_rise(excess, q_K, 1 - (sigma_b**2 + second_K / slope_K) / q_K)
        if q_star is not None:
            across = mean_square_slope(curve, q_star)
            stays = bool(_along(curve, q_star) <= across * (1 + STABLE))
            found.append(float(across.rsqrt()) if stays else None)
            continue
        # With sigma_w at the limit q = 0, lengths have to fall to it: those of tanh do, those of GELU grow.
        falls = bool((second_K / slope_K[0] + sigma_b**2 <= q_K * (1 + ROUNDING))[q_K > 1e-3].all())
        found.append(float(slope_K[0].rsqrt()) if falls else None)
    return found


def doubly_critical(curve: Curve) -> tuple[float, float] | None:
    """The sigma_w and sigma_b at which differences of length do not grow or fade either. None where there are none.

    Both chi_perp = sigma_w^2 E[phi'^2] and chi_par = sigma_w^2 d/dq E[phi^2] = sigma_w^2 E[z phi phi'] / q are 1 at the
    fixed point q. GELU, SiLU and mish, which have no critical sigma_w without biases, have such a pair. Roberts, Yaida
    & Hanin (2022), section 5.3.
    """

    def excess(q_K: Tensor) -> Tensor:
        return mean_square_slope(curve, q_K) - _along(curve, q_K)

    q_K = torch.logspace(-3, 3, 121, dtype=torch.float64)
    q = _first_rise(excess, q_K, excess(q_K))
    if q is None:
        return None
    weights2 = 1 / mean_square_slope(curve, q)
    biases2 = q - weights2 * mean_square(curve, q)
    return (float(weights2.sqrt()), float(biases2.sqrt())) if biases2 >= 0 else None


def _along(curve: Curve, q_K: Tensor) -> Tensor:
    """d/dq E[phi(sqrt(q) u)^2] = E[z phi phi'] / q."""
    return gaussian_mean(lambda z: z * curve.phi(z) * curve.slope(z), q_K, curve.kinks) / q_K


def _first_rise(f: Callable[[Tensor], Tensor], q_K: Tensor, f_K: Tensor) -> Tensor | None:
    """The first q, (1,), between two of a rising grid, at which f, there `f_K`, goes from below 0 to above."""
    f_K[f_K.abs() < ROUNDING] = 0.0
    rising = torch.nonzero((f_K[:-1] < 0) & (f_K[1:] > 0)).flatten()
    if not len(rising):
        return None
    low, high = (math.log(q) for q in q_K[rising[0] : rising[0] + 2])
    log_q = root(lambda log_q: float(f(torch.tensor([math.exp(log_q)], dtype=torch.float64))), low, high)
    return torch.tensor([math.exp(log_q)], dtype=torch.float64)
