"""Arrangements: what a law of weights makes of the parts of a whole network, where these differ by shape or place.

A law sees every matrix alone. An arrangement sees the network: which fans grow with its width, which matrix ends a
branch. It scales first weights and learning rates of the blueprints that a family has drawn up.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

from vgexp.config import ConfigError, InitConfig, Run
from vgexp.networks.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from vgexp.networks.blueprints import Blueprint

OfWidth = Callable[[int], "Sequence[Blueprint]"]
"""The parts of the same network with another width."""
Arrangement = Callable[[Run, OfWidth], "Callable[[Blueprint], Blueprint]"]
"""What a run makes of each of its parts."""

FIXUP = {"model.family": "residual", "model.branch_layers": 2, "model.norm": "none", "model.placement": "pre"}
"""The networks that Fixup is for."""


def mup(run: Run, of_width: OfWidth) -> "Callable[[Blueprint], Blueprint]":
    """Maximal update parametrisation: in the first steps every layer's signals change by as much at any width.

    With m_in and m_out how many times as large the fans of a part are as at `init.base_width`, 1 for a fan that does
    not grow with the width:

                                       Var W                   rate, SGD and momentum    rate, Adam
        input   (fan_out grows)        sigma_w^2 / fan_in      m_out                     1
        hidden  (both grow)            sigma_w^2 / fan_in      m_out / m_in              1 / m_in
        output  (fan_in grows)         sigma_w^2 / fan_in^2    1 / m_in                  1 / m_in
        biases, gains, shifts          as ever                 m_out                     1

    Yang & Hu (2021); Yang et al. (2022), table 3. Gradients with respect to z are of the order of 1 / fan_in of the
    readout, which the rates of SGD make up for and the scale of Adam does. What is input, hidden or output is seen from
    shapes, for every family: a block of a dense network is an output, since the units that it adds do not grow. At the
    base width the rates are those given, and the law is `lecun` but for the readout. sigma_w is 1; for ReLU give the
    square root of 2.
    """
    at_base, wider = ({part.key: part for part in of_width(times * run.init.base_width)} for times in (1, 2))
    adaptive = OPTIMIZERS[run.optim.name].adaptive

    def arranged(part: "Blueprint") -> "Blueprint":
        base, wide = at_base[part.key], wider[part.key]
        m_in = part.fan_in / base.fan_in if wide.fan_in > base.fan_in else 1.0
        m_out = part.fan_out / base.fan_out if wide.fan_out > base.fan_out else 1.0
        law = part.law
        if isinstance(law, InitConfig) and wide.fan_in > base.fan_in and wide.fan_out == base.fan_out:
            assert law.sigma_w is not None
            law = replace(law, sigma_w=law.sigma_w / math.sqrt(part.fan_in))
        times = 1.0 if adaptive else m_out
        rates = part.rates
        return replace(part, law=law, rate=rates["weight"] * times / m_in, bias_rate=rates["bias"] * times)

    return arranged


def fixup(run: Run, of_width: OfWidth) -> "Callable[[Blueprint], Blueprint]":
    """Residual networks without norms whose first steps change their outputs by as much at any depth.

    With L = `model.depth` - 1 blocks of m = 2 matrices, sigma_w is multiplied by L^(-1 / (2 m - 2)) in the first
    matrix of each branch, and by 0 in its last one and in the readout; sigma_w is sqrt 2, that of He. So the outputs
    start at 0, and so does every branch. The biases that end a branch, which the paper's networks do not have, add up
    over L blocks: they learn at the rate 1 / L. Zhang et al. (2019), section 3; the scalars that go with it are
    `model.scalars=fixup`.
    """
    blocks = max(1, run.model.depth - 1)

    def arranged(part: "Blueprint") -> "Blueprint":
        law = part.law
        if not isinstance(law, InitConfig) or part.layer == 1:
            return part
        assert law.sigma_w is not None
        if part.name == "inner":
            return replace(part, law=replace(law, sigma_w=law.sigma_w * blocks**-0.5))
        bias_rate = part.rates["bias"] / (blocks if part.layer <= run.model.depth else 1)
        return replace(part, law=replace(law, sigma_w=0.0), bias_rate=bias_rate)

    return arranged


def require_fixup(run: Run, asked: str) -> None:
    """Raises ConfigError for a network that Fixup is not for, with the override that asked for it."""
    for key, value in FIXUP.items():
        if attrgetter(key)(run) != value:
            which = " ".join(f"{field}={value}" for field, value in FIXUP.items())
            raise ConfigError(key, attrgetter(key)(run), f"{value} with {asked}, which is for {which}")
    if run.model.branch == "learned":
        accepts = f"a number or 1/sqrt(L) with {asked}: a branch that is multiplied by 0 twice never learns"
        raise ConfigError("model.branch", run.model.branch, accepts)
