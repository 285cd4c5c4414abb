"""Spread: how far one network of finite width lies from the means of mean-field theory, and one singular value from
another.

Every layer of n units multiplies the squared gradient of an example by a mean over n random numbers. Over many layers
the logarithm of the product is normal, and its variance grows by the sum of 1 / n.

Legend: L layers.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.networks import INITIALIZERS, Activation, activation, semi_orthogonal, widths
from vgexp.numerics import gaussian_mean, mean_square_slope
from vgexp.theory.sampled import NoTheory


class Spread(NamedTuple):
    """A distribution by two numbers."""

    mean: float
    variance: float


def log_gradient(run: Run) -> Spread:
    """Of ln (|dz(1)|^2 / |dz(L)|^2) of an example over networks, less the logarithm of its mean, which is mean-field
    theory's: normal with variance beta (3 m - 1) and half of that below 0, where beta is the sum of 1 / n over the
    layers 1..L-1 and m = E phi'^4 / (E phi'^2)^2. With orthogonal weights the variance is beta (3 m - 3).

    With relu m = 2, and the variance is 5 beta: Hanin (2018), Hanin & Rolnick (2018). What varies are the slopes, which
    must not depend on the length of the signal, and the weights. Layers of less than some twenty units die.

    Raises NoTheory for other families than plain, with norms, for other activations than those that are straight on
    both sides of 0, for the laws `sparse` and `lsuv`, and for orthogonal weights where widths differ: those that are
    not square project, or are projected on.
    """
    phi = activation(run.model)
    _require(run, "the spread of gradients")
    if _is_orthogonal(run) and len(set(widths(run))) > 1:
        raise NoTheory("the spread of gradients has no theory for orthogonal weights where widths differ")
    if not phi.piecewise_linear or phi.kinks:
        raise NoTheory(
            f"the spread of gradients has no theory for {run.model.activation}: its slopes vary with lengths"
        )
    beta = sum(1 / units for units in widths(run)[: run.model.depth - 1])
    ratio = float(_peakedness(phi, torch.ones(1, dtype=torch.float64)))
    variance = beta * (3 * ratio - (3 if _is_orthogonal(run) else 1))
    return Spread(-variance / 2, variance)


def squared_singular_values(run: Run, q_L: Tensor) -> Spread:
    """Of the Jacobian through layers whose preactivations have the lengths q_L, its squared singular values divided by
    their mean: mean 1 and variance sum(m(q) - 1 - s_1) with m = E phi'^4 / (E phi'^2)^2 and s_1 = 0 for orthogonal, -1
    for Gaussian matrices. Pennington et al. (2017).

    Raises NoTheory as `log_gradient` does, but takes every activation, and where widths differ.
    """
    _require(run, "the spectrum of Jacobians")
    if len(set(widths(run))) > 1:
        raise NoTheory("the spectrum of Jacobians has no theory where widths differ")
    phi = activation(run.model)
    of_weights = 0.0 if _is_orthogonal(run) else 1.0
    return Spread(1.0, float((_peakedness(phi, q_L) - 1 + of_weights).sum()))


def decades(spread: Spread) -> Spread:
    """Of the fall in decades of amplitude, from that of the logarithm of a squared ratio."""
    return Spread(-spread.mean / (2 * math.log(10)), spread.variance / (2 * math.log(10)) ** 2)


def _require(run: Run, what: str) -> None:
    law = INITIALIZERS[run.init.name]
    if run.model.family != "plain" or run.model.norm != "none":
        raise NoTheory(f"{what} has a theory for the plain family without norm alone")
    if law.shape not in (None, semi_orthogonal) or law.unit_variance:
        raise NoTheory(f"{what} has no theory for the law {run.init.name}")


def _is_orthogonal(run: Run) -> bool:
    return INITIALIZERS[run.init.name].shape is semi_orthogonal


def _peakedness(phi: Activation, q_L: Tensor) -> Tensor:
    """E phi'^4 / (E phi'^2)^2, 1 where all slopes are alike."""
    return gaussian_mean(lambda z: phi.slope(z) ** 4, q_L, phi.kinks) / mean_square_slope(phi, q_L) ** 2
