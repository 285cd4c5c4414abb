"""Residual networks, pre-activation: every block adds a branch to what it was given.

    one matrix    x(l) = x(l-1) + r (phi(x(l-1)) W + b)
    two           x(l) = x(l-1) + r (phi(phi(x(l-1)) W_inner + b_inner) W + b)

A linear stem makes the first state, and the readout reads phi of the last: He et al. (2016). r is `model.branch`.

Legend: M members, B batch, N units, K examples.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vgexp.config import ConfigError, Run
from vgexp.networks.activations import Activation
from vgexp.networks.blueprints import Blueprint, law
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, MeanSquares, Pass
from vgexp.networks.network import Network
from vgexp.networks.parts import Key
from vgexp.numerics import gaussian_mean

MATRICES = {1: ("",), 2: ("inner", "")}
"""Of a branch, in the order in which they are applied, by `model.branch_layers`."""


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """A stem, one or two square matrices a block, a readout."""
    width, depth = run.model.width, run.model.depth
    return [
        Blueprint(1, "", inputs, width, law(run, 1)),
        *(
            Blueprint(layer, name, width, width, law(run, layer))
            for layer in range(2, depth + 1)
            for name in MATRICES[run.model.branch_layers]
        ),
        Blueprint(depth + 1, "", width, classes, law(run, depth + 1)),
    ]


def stem(p: Pass, layer: int, state: State) -> State:
    """x(1) = x W + b."""
    return (p.linear(layer, state[0]),)


def block(p: Pass, layer: int, state: State) -> State:
    (x_MBN,) = state
    z_MBN, completed_by = x_MBN, (layer - 1, "")
    for name in MATRICES[p.network.run.model.branch_layers]:
        z_MBN, completed_by = p.linear(layer, p.phi(completed_by[0], z_MBN, completed_by[1]), name), (layer, name)
    return (x_MBN + p.network.run.model.branch * z_MBN,)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """phi(x) W + b."""
    return p.linear(layer, p.phi(layer - 1, state[0]))


def jacobian(network: Network, layer: int, state: State) -> Tensor:
    """1 + r times the product of diag(phi') W over the branch's matrices."""
    (z_M1N,) = state
    one_NN = torch.eye(z_M1N.shape[-1], dtype=z_M1N.dtype, device=z_M1N.device)
    product_MNN = one_NN
    for name in MATRICES[network.run.model.branch_layers]:
        weight_MNN, bias_M1N = network.parts[layer, name].tensors.values()
        product_MNN = product_MNN @ (network.activation.slope(z_M1N).transpose(1, 2) * weight_MNN)
        z_M1N = torch.baddbmm(bias_M1N, network.activation.phi(z_M1N), weight_MNN)
    return one_NN + network.run.model.branch * product_MNN


def recursion(
    blueprints: Mapping[Key, Blueprint], run: Run, phi: Activation, second_K: Tensor
) -> tuple[MeanSquares, Callable[[Tensor], MeanSquares]]:
    """With p = E[phi(sqrt(q) u)^2], s = E[phi'(sqrt(q) u)^2] and one matrix a branch,

        q(l) = q(l-1) + r^2 (fan_in Var W p(l-1) + sigma_b^2),
        <dx(l-1)^2> = <dx(l)^2> (1 + r^2 fan_out Var W s(l-1)).

    Yang & Schoenholz (2017). With two, the branch is a plain network of two layers.
    """
    branch2, depth = run.model.branch**2, run.model.depth
    names = MATRICES[run.model.branch_layers]
    signals: MeanSquares = {}

    def activate(key: Key, q_K: Tensor) -> Tensor:
        """Notes phi of what the matrix `key` completed; its mean square."""
        second_K = gaussian_mean(lambda z: phi.phi(z) ** 2, q_K, phi.kinks)
        signals[key] |= {"read": q_K, "h": second_K, "h_mean": gaussian_mean(phi.phi, q_K, phi.kinks)}
        return second_K

    def apply(key: Key, second_K: Tensor) -> Tensor:
        """Notes what the matrix `key` puts out; its mean square."""
        z2_K = blueprints[key].gains[0] * second_K + run.init.sigma_b**2
        signals[key] = {"z": z2_K}
        return z2_K

    q_K = apply((1, ""), second_K)
    for layer in range(2, depth + 1):
        z2_K, completed_by = q_K, (layer - 1, "")
        for name in names:
            z2_K, completed_by = apply((layer, name), activate(completed_by, z2_K)), (layer, name)
        q_K = q_K + branch2 * z2_K
    apply((depth + 1, ""), activate((depth, ""), q_K))

    def through(key: Key, completed_by: Key, dz2_K: Tensor) -> Tensor:
        """From what the matrix `key` puts out back to what phi read below it."""
        slope2_K = gaussian_mean(lambda z: phi.slope(z) ** 2, signals[completed_by]["read"], phi.kinks)
        return dz2_K * blueprints[key].gains[1] * slope2_K

    def backward(dz2_K: Tensor) -> MeanSquares:
        gradients: MeanSquares = {(depth + 1, ""): {"dz": dz2_K}}
        dx2_K = through((depth + 1, ""), (depth, ""), dz2_K)
        for layer in range(depth, 1, -1):
            dz2_K = branch2 * dx2_K
            gradients[layer, ""] = {"dx": dx2_K, "dz": dz2_K}
            if len(names) == 2:
                dz2_K = through((layer, ""), (layer, "inner"), dz2_K)
                gradients[layer, "inner"] = {"dz": dz2_K}
            dx2_K = dx2_K + through((layer, names[0]), (layer - 1, ""), dz2_K)
        gradients[1, ""] = {"dx": dx2_K, "dz": dx2_K}
        return gradients

    return signals, backward


def require(run: Run) -> None:
    """States of one width can be added."""
    if not isinstance(run.model.width, int):
        raise ConfigError("model.width", run.model.width, "one integer: the states of residual blocks are added")


FAMILY = Family(
    blueprints=blueprints,
    stem=stem,
    block=block,
    readout=readout,
    jacobian=jacobian,
    reads=frozenset({"model.branch", "model.branch_layers"}),
    signal="dx",
    recursion=recursion,
    require=require,
)
