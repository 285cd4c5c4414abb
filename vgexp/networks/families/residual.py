"""Residual networks: every block adds a branch to what it was given, with a norm N where the run has one.

                  pre                                                  post
    one matrix    x + r (phi(N(x)) W + b)                              N(x + r phi(x W + b))
    two           x + r (phi(N(phi(N(x)) W_inner + b_inner)) W + b)    N(x + r (phi(x W_inner + b_inner) W + b))
    stem          x W + b                                              phi(N(x W + b))
    readout       phi(N(x)) W + b                                      x W + b

He et al. (2016), He et al. (2016b); with layer normalisation Xiong et al. (2020). r is `model.branch`, a number or a
scalar that is learned from 0. The norm of the state is `norm`, that of what W_inner puts out `inner_norm`.

With `model.scalars=fixup` a branch is multiplied by a scalar `factor`, and a scalar is added to whatever a matrix
or phi reads, in blocks and readout: `inner_shift` and `shift` to the input of a matrix, `inner_phi_shift` and
`phi_shift` to that of the phi before it. Zhang et al. (2019), section 3.

Legend: M members, B batch, N units, K examples.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from vgexp.config import ConfigError, Run
from vgexp.networks.arrangements import require_fixup
from vgexp.networks.blueprints import Blueprint, branch_scale, law, norms, scalars, scales
from vgexp.networks.checkpoint import State
from vgexp.networks.family import Family, MeanSquares, Pass
from vgexp.networks.parts import Key
from vgexp.numerics import Averages

MATRICES = {1: ("",), 2: ("inner", "")}
"""Of a branch, in the order in which they are applied, by `model.branch_layers`."""


def blueprints(run: Run, inputs: int, classes: int) -> list[Blueprint]:
    """A stem, one or two square matrices a block, a readout; and the norms and scalars of the run."""
    width, depth, pre = run.model.width, run.model.depth, run.model.placement == "pre"
    matrices = MATRICES[run.model.branch_layers]
    norms_of_block = ["norm", "inner_norm"][: len(matrices)] if pre else ["norm"]
    parts = [Blueprint(1, "", inputs, width, law(run, 1)), *([] if pre else norms(run, 1, width, "norm"))]
    for layer in range(2, depth + 1):
        parts += [Blueprint(layer, name, width, width, law(run, layer)) for name in matrices]
        parts += [*norms(run, layer, width, *norms_of_block), *scales(run, layer)]
        parts += scalars(run, layer, "inner_phi_shift", "inner_shift", "phi_shift", "shift", branch=True)
    parts.append(Blueprint(depth + 1, "", width, classes, law(run, depth + 1)))
    parts += scalars(run, depth + 1, "phi_shift", "shift")
    return parts + (norms(run, depth + 1, width, "norm") if pre else [])


def stem(p: Pass, layer: int, state: State) -> State:
    """x(1)."""
    z_MBN = p.linear(layer, state[0])
    return (z_MBN,) if _is_pre(p) else (p.phi(layer, p.norm(layer, z_MBN)),)


def block(p: Pass, layer: int, state: State) -> State:
    """x(l) from x(l-1)."""
    (x_MBN,) = state
    two = p.network.run.model.branch_layers == 2
    if not _is_pre(p):
        h_MBN = p.phi(layer, p.linear(layer, x_MBN, "inner" if two else ""), "inner" if two else "")
        return (p.norm(layer, x_MBN + p.scaled(layer, p.linear(layer, h_MBN) if two else h_MBN)),)
    if not two:
        return (x_MBN + p.scaled(layer, p.linear(layer, p.phi(layer - 1, p.norm(layer, x_MBN)))),)
    h_MBN = p.phi(layer - 1, p.shifted(layer, p.norm(layer, x_MBN), "inner_phi_shift"))
    z_MBN = p.norm(layer, p.linear(layer, p.shifted(layer, h_MBN, "inner_shift"), "inner"), "inner_norm")
    h_MBN = p.phi(layer, p.shifted(layer, z_MBN, "phi_shift"), "inner")
    return (x_MBN + p.scaled(layer, p.linear(layer, p.shifted(layer, h_MBN, "shift"))),)


def readout(p: Pass, layer: int, state: State) -> Tensor:
    """The outputs."""
    (x_MBN,) = state
    if not _is_pre(p):
        return p.linear(layer, x_MBN)
    h_MBN = p.phi(layer - 1, p.shifted(layer, p.norm(layer, x_MBN), "phi_shift"))
    return p.linear(layer, p.shifted(layer, h_MBN, "shift"))


def _is_pre(p: Pass) -> bool:
    return p.network.run.model.placement == "pre"


def recursion(
    blueprints: Mapping[Key, Blueprint], run: Run, phi: Averages, second_K: Tensor
) -> tuple[MeanSquares, Callable[[Tensor], MeanSquares]]:
    """Pre-activation without norms: with p = E[phi(sqrt(q) u)^2], s = E[phi'(sqrt(q) u)^2] and one matrix a branch,

        q(l) = q(l-1) + r^2 (fan_in Var W p(l-1) + sigma_b^2),
        <dx(l-1)^2> = <dx(l)^2> (1 + r^2 fan_out Var W s(l-1)).

    Yang & Schoenholz (2017). With two, the branch is a plain network of two layers.
    """
    branch2, depth = branch_scale(run) ** 2, run.model.depth
    names = MATRICES[run.model.branch_layers]
    signals: MeanSquares = {}

    def activate(key: Key, q_K: Tensor) -> Tensor:
        """Notes phi of what the matrix `key` completed; its mean square."""
        second_K = phi.square(q_K)
        signals[key] |= {"read": q_K, "h": second_K, "h_mean": phi.mean(q_K)}
        return second_K

    def apply(key: Key, second_K: Tensor) -> Tensor:
        """Notes what the matrix `key` puts out; its mean square."""
        z2_K = blueprints[key].gains[0] * second_K + blueprints[key].bias_variance
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
        slope2_K = phi.square_slope(signals[completed_by]["read"])
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
    """States of one width can be added; Fixup's scalars are those of one kind of block."""
    if not isinstance(run.model.width, int):
        raise ConfigError("model.width", run.model.width, "one integer: the states of residual blocks are added")
    if run.model.scalars == "fixup":
        require_fixup(run, "model.scalars=fixup")


FAMILY = Family(
    blueprints=blueprints,
    stem=stem,
    block=block,
    readout=readout,
    reads=frozenset({"model.branch", "model.branch_layers", "model.norm", "model.placement", "model.scalars"}),
    signal="dx",
    recursion=recursion,
    solved=lambda run: run.model.norm == "none" and run.model.placement == "pre",
    require=require,
)
