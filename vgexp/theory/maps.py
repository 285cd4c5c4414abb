"""The two maps of a wide plain network from one layer to the next: of the length of a signal, and of the correlation of
two.

Of preactivations z = W phi(z below) + b with Var W = sigma_w^2 / fan_in and Var b = sigma_b^2 the length is q = <z^2>,
the correlation of two inputs c = <z z'> / q. Poole et al. (2016), eqs. 3 and 5; Schoenholz et al. (2017), sections 2-3.

Legend: K lengths.
"""

import torch
from torch import Tensor

from vgexp.networks import Activation
from vgexp.numerics import gaussian_gap, gaussian_mean, gaussian_product, mean_square, mean_square_slope


def length_map(phi: Activation, sigma_w: float, sigma_b: float, q_K: Tensor) -> Tensor:
    """The length one layer on: sigma_w^2 E[phi(sqrt(q) u)^2] + sigma_b^2, (K,)."""
    return sigma_w**2 * mean_square(phi, q_K) + sigma_b**2


def length_slope(phi: Activation, sigma_w: float, q_K: Tensor) -> Tensor:
    """The derivative of the length map, (K,): sigma_w^2 E[phi(z) phi'(z) z] / q for z = sqrt(q) u.

    For a smooth phi that is chi_1 + sigma_w^2 E[phi phi''], by Stein's lemma.
    """
    return sigma_w**2 * gaussian_mean(lambda z: phi.phi(z) * phi.slope(z) * z, q_K, phi.kinks) / q_K


def chi_1(phi: Activation, sigma_w: float, q_K: Tensor) -> Tensor:
    """The slope of the correlation map at c = 1, and what a layer multiplies the mean square of a gradient by, (K,):
    sigma_w^2 E[phi'(sqrt(q) u)^2]."""
    return sigma_w**2 * mean_square_slope(phi, q_K)


def correlation_map(phi: Activation, sigma_w: float, sigma_b: float, q: float, c: float) -> float:
    """The correlation one layer on, of two inputs of length q and correlation c in [-1, 1]."""
    length = float(length_map(phi, sigma_w, sigma_b, torch.tensor([q], dtype=torch.float64)))
    return (sigma_w**2 * gaussian_product(phi.phi, q, c, phi.kinks) + sigma_b**2) / length


def gap_map(phi: Activation, sigma_w: float, sigma_b: float, q: float, gap: float) -> float:
    """1 - c one layer on, from gap = 1 - c in [0, 1], to full precision also where it is small."""
    length = float(length_map(phi, sigma_w, sigma_b, torch.tensor([q], dtype=torch.float64)))
    return sigma_w**2 * gaussian_gap(phi.phi, q, gap, phi.kinks) / length


def chi_c(phi: Activation, sigma_w: float, q: float, c: float) -> float:
    """The slope of the correlation map at c, where q is a fixed point of the lengths: sigma_w^2 E[phi'(z) phi'(z')]."""
    return sigma_w**2 * gaussian_product(phi.slope, q, c, phi.kinks)
