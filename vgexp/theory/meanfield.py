"""Mean-field theory of a network at initialisation: the profile that measurements are held against.

With many units a layer's preactivations are Gaussian, and the mean squares of forward and backward signals follow a
recursion over the layers. Some families have it in closed form (vgexp.networks.families); for all others it is sampled
(vgexp.theory.sampled). Mean squares differ from example to example, since inputs have different lengths: they are found
for each and averaged at the end.

It holds for many inputs a unit: with the 15 of the `sparse` law and a bent phi, dz is off by some ten percent a layer.

Legend: K examples, I inputs, N points, C outputs.
"""

import math

import pandas as pd
import torch
from scipy.optimize import brentq
from scipy.stats import norm, qmc
from torch import Tensor

from vgexp.config import Run
from vgexp.networks import (
    ACTIVATIONS,
    FAMILIES,
    INITIALIZERS,
    NORMS,
    Activation,
    MeanSquares,
    activation,
    blueprints,
)
from vgexp.numerics import gaussian_mean
from vgexp.theory import sampled


def profile(run: Run, x_KI: Tensor, y_K: Tensor, classes: int) -> pd.DataFrame:
    """The predicted `layer part z_rms h_mean h_std dz_rms dx_rms` of every matrix, for inputs x_KI of classes y_K.

    `dz` and `dx` are those of one example, as everywhere, for the run's loss. Where a signal overflows, the profile
    says inf. To be called where everything that the run is made of is known: see `covers`.
    """
    rows = []
    for (layer, part), of in sorted(mean_squares(run, x_KI, y_K, classes).items()):
        row = {"layer": layer, "part": part, "z_rms": _root_mean(of["z"])}
        if "h" in of:
            # The spread pools units and examples, and examples share the mean of phi but not its variance.
            row |= {"h_mean": float(of["h_mean"].mean()), "h_std": _spread(of["h_mean"], of["h"])}
        rows.append(row | {f"{name}_rms": _root_mean(of[name]) for name in ("dz", "dx") if name in of})
    return pd.DataFrame(rows, columns=["layer", "part", "z_rms", "h_mean", "h_std", "dz_rms", "dx_rms"])


def mean_squares(run: Run, x_KI: Tensor, y_K: Tensor, classes: int) -> MeanSquares:
    """The mean squares of every matrix by example: in closed form where the family has one, else sampled."""
    family = FAMILIES[run.model.family]
    if family.recursion is None or not family.solved(run):
        return sampled.mean_squares(run, x_KI, y_K, classes)
    parts = {part.key: part for part in blueprints(run, x_KI.shape[1], classes)}
    phi = activation(run.model.activation, run.model.negative_slope)
    signals, backward = family.recursion(parts, run, phi, x_KI.double().square().mean(1))
    readout = (run.model.depth + 1, "")
    gradients = backward(readout_gradient(run.loss, signals[readout]["z"], classes))
    return {key: of | gradients[key] for key, of in signals.items()}


def covers(run: Run) -> bool:
    """Whether everything that the run is made of is known here, so that there is a theory."""
    known = {"activation": ACTIVATIONS, "family": FAMILIES, "norm": NORMS}
    return run.init.name in INITIALIZERS and all(getattr(run.model, name) in names for name, names in known.items())


def mean_square_slope(phi: Activation, q_K: Tensor) -> Tensor:
    """E[phi'(sqrt(q) u)^2]."""
    return gaussian_mean(lambda z: phi.slope(z) ** 2, q_K, phi.kinks)


def critical_sigma_w(phi: Activation, sigma_b: float = 0.0) -> float | None:
    """The sigma_w at which gradients neither vanish nor explode: chi_1 = sigma_w^2 E[phi'(sqrt(q*) u)^2] = 1 at the
    fixed point q* of the forward signal. None where there is none.

    Poole et al. (2016), eq. 6; Schoenholz et al. (2017), section 3. Found as the sign change of
    q - sigma_b^2 - E[phi^2] / E[phi'^2], and where that is positive down to q = 0, in the limit there.

    >>> f"{critical_sigma_w(activation('relu')):.4f}, {critical_sigma_w(activation('tanh')):.4f}"
    '1.4142, 1.0000'
    """
    q_K = torch.logspace(-9, 4, 131, dtype=torch.float64)
    slope_K = mean_square_slope(phi, q_K)
    if (slope_K - slope_K[0]).abs().max() < 1e-9:  # piecewise linear through 0: the same at any length
        return float(slope_K[0].rsqrt())
    second_K = gaussian_mean(lambda z: phi.phi(z) ** 2, q_K, phi.kinks)
    excess_K = q_K - sigma_b**2 - second_K / slope_K
    excess_K[excess_K.abs() < 1e-12 * q_K] = 0.0  # rounding has a sign, too
    rising = torch.nonzero((excess_K[:-1] < 0) & (excess_K[1:] > 0)).flatten()
    if len(rising):

        def excess(log_q: float) -> float:
            q = torch.tensor([math.exp(log_q)], dtype=torch.float64)
            length = gaussian_mean(lambda z: phi.phi(z) ** 2, q, phi.kinks) / mean_square_slope(phi, q)
            return float(q - sigma_b**2 - length)

        low = int(rising[0])
        q_star = math.exp(brentq(excess, math.log(q_K[low]), math.log(q_K[low + 1])))
        return float(mean_square_slope(phi, torch.tensor([q_star], dtype=torch.float64)).rsqrt())
    # With sigma_w at the limit q = 0, lengths have to fall to it: those of tanh do, those of GELU grow.
    falls = bool((second_K / slope_K[0] + sigma_b**2 < q_K)[q_K > 1e-3].all())
    return float(slope_K[0].rsqrt()) if falls else None


def readout_gradient(loss: str, q_K: Tensor, classes: int) -> Tensor:
    """<dz^2> at the readout, whose outputs are N(0, q) and know nothing of the target.

    Cross-entropy, softmax(z) - onehot: (sum_c E p_c^2 - 2 / C + 1) / C, by quasi Monte Carlo (4096 points of
    a Sobol sequence). Quadratic, z - onehot: q + 1 / C. Cotangent: 1.
    """
    if loss == "cotangent":
        return torch.ones_like(q_K)
    if loss == "quadratic":
        return q_K + 1 / classes
    points = qmc.Sobol(classes, scramble=True, rng=0).random_base2(12)
    u_NC = torch.from_numpy(norm.ppf(points))
    p_squared = torch.stack([torch.softmax(q.sqrt() * u_NC, -1).square().sum(-1).mean() for q in q_K])
    return (p_squared - 2 / classes + 1) / classes


def _root_mean(second_K: Tensor) -> float:
    return float(second_K.mean().sqrt())


def _spread(mean_K: Tensor, second_K: Tensor) -> float:
    return float((second_K.mean() - mean_K.mean() ** 2).clamp(min=0).sqrt())
