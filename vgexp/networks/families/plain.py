"""The plain network, f = f(D) o ... o f(1): z = h W + b, h = phi(z), and a linear readout.

A norm stands before phi or after it: h = phi(N(z)) or h = N(phi(z)).

Legend: M members, B batch, N units, O units of a layer, K examples.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

from torch import Tensor

from vgexp.config import Run
from vgexp.networks.blueprints import Blueprint, law, norms, widths
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, MeanSquares, Pass
from vgexp.networks.parts import Key
from vgexp.numerics import Averages


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """One matrix a layer, and a norm where the run has one."""
    sizes = [inputs, *widths(run), classes]
    parts = []
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        parts.append(Blueprint(layer, "", fan_in, fan_out, law(run, layer)))
        if layer <= run.model.depth:
            parts += norms(run, layer, fan_out, "norm")
    return parts


def block(p: Pass, layer: int, state: State) -> State:
    """x(l) = phi(N(x(l-1) W + b)), or N(phi(x(l-1) W + b))."""
    z_MBN = p.linear(layer, state[0])
    if p.network.run.model.norm_at == "before":
        return (p.phi(layer, p.norm(layer, z_MBN)),)
    return (p.norm(layer, p.phi(layer, z_MBN)),)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """x W + b."""
    (x_MBN,) = state
    return p.linear(layer, x_MBN)


def recursion(
    blueprints: Mapping[Key, Blueprint], run: Run, phi: Averages, second_K: Tensor
) -> tuple[MeanSquares, Callable[[Tensor], MeanSquares]]:
    """q^1 = fan_in Var W^1 <x^2> + sigma_b^2,  q^{l+1} = fan_in Var W^{l+1} E[phi(sqrt(q^l) u)^2] + sigma_b^2,
    <dz^l^2> = fan_out Var W^{l+1} E[phi'(sqrt(q^l) u)^2] <dz^{l+1}^2>,  u ~ N(0, 1).

    Poole et al. (2016), eq. 3; Schoenholz et al. (2017), eq. 15.
    """
    signals: MeanSquares = {}
    for layer in range(1, run.model.depth + 2):
        matrix = blueprints[layer, ""]
        q_K = matrix.gains[0] * second_K + matrix.bias_variance
        signals[layer, ""] = {"z": q_K}
        if layer <= run.model.depth:
            second_K = phi.square(q_K)
            signals[layer, ""] |= {"h": second_K, "h_mean": phi.mean(q_K)}

    def backward(dz2_K: Tensor) -> MeanSquares:
        gradients: MeanSquares = {(run.model.depth + 1, ""): {"dz": dz2_K}}
        for layer in range(run.model.depth, 0, -1):
            _, backward = blueprints[layer + 1, ""].gains
            dx2_K = backward * dz2_K
            dz2_K = dx2_K * phi.square_slope(signals[layer, ""]["z"])
            gradients[layer, ""] = {"dx": dx2_K, "dz": dz2_K}
        return gradients

    return signals, backward


FAMILY = Family(
    blueprints=blueprints,
    stem=block,
    block=block,
    readout=readout,
    reads=frozenset({"model.norm", "model.norm_at"}),
    chain=True,
    recursion=recursion,
)
