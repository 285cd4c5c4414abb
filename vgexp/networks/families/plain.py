"""The plain network, f = f(D) o ... o f(1): z = h W + b, h = phi(z), and a linear readout.

Legend: M members, B batch, N units, O units of a layer, K examples.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.networks.activations import Activation
from vgexp.networks.blueprints import Blueprint, law, widths
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, MeanSquares, Pass
from vgexp.networks.network import Network
from vgexp.networks.parts import Key
from vgexp.numerics import gaussian_mean


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """One matrix a layer."""
    sizes = [inputs, *widths(run), classes]
    return [
        Blueprint(layer, "", fan_in, fan_out, law(run, layer))
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1)
    ]


def block(p: Pass, layer: int, state: State) -> State:
    """x(l) = phi(x(l-1) W + b)."""
    (x_MBN,) = state
    return (p.phi(layer, p.linear(layer, x_MBN)),)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """x W + b."""
    (x_MBN,) = state
    return p.linear(layer, x_MBN)


def jacobian(network: Network, layer: int, state: State) -> Tensor:
    """W diag(phi'(z)): Glorot & Bengio (2010), section 4.2.1, eq. 17."""
    (x_M1N,) = state
    weight_MNO, bias_M1O = network.parts[layer, ""].tensors.values()
    return weight_MNO * network.activation.slope(torch.baddbmm(bias_M1O, x_M1N, weight_MNO))


def recursion(
    blueprints: Mapping[Key, Blueprint], run: Run, phi: Activation, second_K: Tensor
) -> tuple[MeanSquares, Callable[[Tensor], MeanSquares]]:
    """q^1 = fan_in Var W^1 <x^2> + sigma_b^2,  q^{l+1} = fan_in Var W^{l+1} E[phi(sqrt(q^l) u)^2] + sigma_b^2,
    <dz^l^2> = fan_out Var W^{l+1} E[phi'(sqrt(q^l) u)^2] <dz^{l+1}^2>,  u ~ N(0, 1).

    Poole et al. (2016), eq. 3; Schoenholz et al. (2017), eq. 15.
    """
    signals: MeanSquares = {}
    for layer in range(1, run.model.depth + 2):
        forward, _ = blueprints[layer, ""].gains
        q_K = forward * second_K + run.init.sigma_b**2
        signals[layer, ""] = {"z": q_K}
        if layer <= run.model.depth:
            second_K = gaussian_mean(lambda z: phi.phi(z) ** 2, q_K, phi.kinks)
            signals[layer, ""] |= {"h": second_K, "h_mean": gaussian_mean(phi.phi, q_K, phi.kinks)}

    def backward(dz2_K: Tensor) -> MeanSquares:
        gradients: MeanSquares = {(run.model.depth + 1, ""): {"dz": dz2_K}}
        for layer in range(run.model.depth, 0, -1):
            _, backward = blueprints[layer + 1, ""].gains
            dx2_K = backward * dz2_K
            dz2_K = dx2_K * gaussian_mean(lambda z: phi.slope(z) ** 2, signals[layer, ""]["z"], phi.kinks)
            gradients[layer, ""] = {"dx": dx2_K, "dz": dz2_K}
        return gradients

    return signals, backward


FAMILY = Family(
    blueprints=blueprints,
    stem=block,
    block=block,
    readout=readout,
    jacobian=jacobian,
    reads=frozenset(),
    recursion=recursion,
)
