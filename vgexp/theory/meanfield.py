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
from torch import Tensor

from vgexp.config import Run
from vgexp.networks import (
    ACTIVATIONS,
    FAMILIES,
    INITIALIZERS,
    NORMS,
    MeanSquares,
    activation,
    blueprints,
)
from vgexp.numerics import averages, tabulated
from vgexp.theory import sampled

ROUGH_DRAWS = 2**13
"""Numbers that are drawn of a layer where some percent of a depth are enough."""


def profile(run: Run, x_KI: Tensor, y_K: Tensor, classes: int, rough: bool = False) -> pd.DataFrame:
    """The predicted `layer part z_rms h_mean h_std dz_rms dx_rms` of every matrix, for inputs x_KI of classes y_K.

    `dz` and `dx` are those of one example, as everywhere, for the run's loss. Where a signal overflows, the profile
    says inf. To be called where everything that the run is made of is known: see `covers`. `rough` as `mean_squares`
    has it.
    """
    rows = []
    for (layer, part), of in sorted(mean_squares(run, x_KI, y_K, classes, rough).items()):
        row = {"layer": layer, "part": part, "z_rms": _root_mean(of["z"])}
        if "h" in of:
            # The spread pools units and examples, and examples share the mean of phi but not its variance.
            row |= {"h_mean": float(of["h_mean"].mean()), "h_std": _spread(of["h_mean"], of["h"])}
        rows.append(row | {f"{name}_rms": _root_mean(of[name]) for name in ("dz", "dx") if name in of})
    return pd.DataFrame(rows, columns=["layer", "part", "z_rms", "h_mean", "h_std", "dz_rms", "dx_rms"])


def mean_squares(run: Run, x_KI: Tensor, y_K: Tensor, classes: int, rough: bool = False) -> MeanSquares:
    """The mean squares of every matrix by example: in closed form where the family has one, else sampled.

    `rough`, for networks of thousands of layers: averages from a table, fewer draws.
    """
    family = FAMILIES[run.model.family]
    if not has_recursion(run):
        return sampled.mean_squares(run, x_KI, y_K, classes, ROUGH_DRAWS if rough else sampled.DRAWS)
    parts = {part.key: part for part in blueprints(run, x_KI.shape[1], classes)}
    phi = (tabulated if rough else averages)(activation(run.model))
    assert family.recursion is not None
    signals, backward = family.recursion(parts, run, phi, x_KI.double().square().mean(1))
    readout = (run.model.depth + 1, "")
    gradients = backward(readout_gradient(run.loss, signals[readout]["z"], classes))
    return {key: of | gradients[key] for key, of in signals.items()}


def has_recursion(run: Run) -> bool:
    """Whether the theory of a run has a closed form."""
    family = FAMILIES[run.model.family]
    rescales = INITIALIZERS[run.init.name].unit_variance
    return family.recursion is not None and family.solved(run) and not rescales


def covers(run: Run) -> bool:
    """Whether everything that the run is made of is known here, so that there is a theory."""
    known = {"activation": ACTIVATIONS, "family": FAMILIES, "norm": NORMS}
    return run.init.name in INITIALIZERS and all(getattr(run.model, name) in names for name, names in known.items())


def readout_gradient(loss: str, q_K: Tensor, classes: int) -> Tensor:
    """<dz^2> at the readout, whose outputs are N(0, q) and know nothing of the target.

    Cross-entropy, softmax(z) - onehot: (sum_c E p_c^2 - 2 / C + 1) / C, by quasi Monte Carlo (4096 points of
    a Sobol sequence). Quadratic, z - onehot: q + 1 / C. Cotangent: 1.
    """
    if loss == "cotangent":
        return torch.ones_like(q_K)
    if loss == "quadratic":
        return q_K + 1 / classes
    points = torch.quasirandom.SobolEngine(classes, scramble=True, seed=0).draw(2**12, dtype=torch.float64)
    u_NC = torch.special.ndtri(points)
    p_squared = torch.stack([torch.softmax(q.sqrt() * u_NC, -1).square().sum(-1).mean() for q in q_K])
    return (p_squared - 2 / classes + 1) / classes


def _root_mean(second_K: Tensor) -> float:
    return float(second_K.mean().sqrt())


def _spread(mean_K: Tensor, second_K: Tensor) -> float:
    spread = (second_K.mean() - mean_K.mean() ** 2).clamp(min=0).sqrt()
    return math.inf if second_K.isinf().any() else float(spread)
