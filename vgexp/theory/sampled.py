"""Mean-field theory by sampling: a network of infinite width, of which some units are drawn.

In a wide network the preactivations of a layer are Gaussian over its units, with a covariance between examples that the
layer below fixes, and the gradients that come down are Gaussian and know nothing of the forward signals. Here the
family's own blocks run on such draws: a matrix puts out new Gaussian units with the covariance

    <z_k z_k'> = fan_in Var W <h_k h_k'> + sigma_b^2,

and hands down new Gaussian gradients with <dh_k dh_k'> = fan_out Var W <dz_k dz_k'>. All that stands between two
matrices, norms and skips and gates, is the code that trains, with torch's own derivatives. So every family has a
theory, also where a batch normalises its examples together: Yang et al. (2019).

A law that rescales matrices by what they put out does so here as well.

Every draw of enough units is made to have its covariance exactly; what is left is the error of higher moments over
`DRAWS` numbers.

Legend: K examples, I inputs, S units drawn, C outputs.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Generator, Tensor

from vgexp.config import InitConfig, Run
from vgexp.networks import (
    FAMILIES,
    INITIALIZERS,
    LOSSES,
    NORMS,
    Blueprint,
    Gradient,
    Key,
    Matrix,
    MatrixGradient,
    MeanSquares,
    Network,
    Part,
    State,
    assemble,
    blueprints,
    unit_scale,
)
from vgexp.numerics import generator

DRAWS = 2**17
"""Numbers that are drawn of a layer: units times examples."""
FEWEST_UNITS = 1000
MOST_NUMBERS = 2**29
"""What a sample of a whole network may have."""


class NoTheory(LookupError):
    """Why theory has nothing to say of a run."""


def mean_squares(run: Run, x_KI: Tensor, y_K: Tensor, classes: int, draws: int = DRAWS) -> MeanSquares:
    """The mean squares of every matrix by example, for inputs x_KI of the classes y_K, from so many draws a layer.

    Raises NoTheory for a family from outside whose blocks cannot run on draws: they look into their parts; and for a
    network of which a sample would not fit in memory.
    """
    examples = len(x_KI)
    if numbers(run, x_KI, classes, draws) > MOST_NUMBERS:
        raise NoTheory(f"a sample of the network would have more than {MOST_NUMBERS:.2g} numbers")
    norm = NORMS[run.model.norm]
    draw = Draw(generator("theory", run.seed), together=norm is not None and norm.over_examples)
    plans = blueprints(run, x_KI.shape[1], classes)
    units = _units(examples, draws)
    times, groups = _times(plans, run, units), -(-units // classes)
    parts: list[Part] = []
    for plan in plans:
        if plan.is_matrix:
            of_readout = plan.layer > run.model.depth
            parts.append(DrawnMatrix(plan, plan.fan_out * (groups if of_readout else times), draw))
        else:
            wide = plan if plan.fan_out == 1 else replace(plan, fan_out=plan.fan_out * times)
            parts += assemble([[wide]], [0], torch.float64, "cpu")
    network = Network(FAMILIES[run.model.family], replace(run, memory="store"), parts)
    noted = _Notes()
    try:
        z_1KS = network(x_KI.double()[None], noted)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise NoTheory(f"the blocks of the family {run.model.family} do not run on draws: {reason}") from error
    z_GKC = z_1KS[0].view(examples, groups, classes).transpose(0, 1)
    target = torch.randn(z_GKC.shape, generator=draw.generator, dtype=torch.float64)
    if run.loss != "cotangent":
        target = y_K.expand(groups, -1)
    LOSSES[run.loss](z_GKC, target).sum().backward()
    return noted.means()


def numbers(run: Run, x_KI: Tensor, classes: int, draws: int = DRAWS) -> int:
    """How many numbers all matrices of the network read, of which theory draws as many."""
    plans = blueprints(run, x_KI.shape[1], classes)
    of_hidden = sum(plan.fan_in for plan in plans if plan.is_matrix and plan.layer > 1)
    return len(x_KI) * of_hidden * _times(plans, run, _units(len(x_KI), draws))


def _units(examples: int, draws: int) -> int:
    return max(FEWEST_UNITS, draws // examples)


def _times(plans: Sequence[Blueprint], run: Run, units: int) -> int:
    """What widths are multiplied by so that the widest layer has that many units."""
    return -(-units // max(plan.fan_out for plan in plans if plan.is_matrix and plan.layer <= run.model.depth))


class Draw:
    """Draws Gaussian units with a given covariance between examples."""

    def __init__(self, generator: Generator, together: bool) -> None:
        """`together`: examples are drawn with their covariance; else one by one, since nothing mixes them."""
        self.generator, self.together = generator, together

    def __call__(self, like_1KS: Tensor, gain: float, offset: float, units: int) -> Tensor:
        """(1, K, units) with the covariance gain <s_k s_k'> + offset over the units of another signal."""
        signal_KS = like_1KS[0]
        u_KS = torch.randn(len(signal_KS), units, generator=self.generator, dtype=torch.float64)
        u_KS -= u_KS.mean(1, keepdim=True)
        if not self.together:
            u_KS /= u_KS.square().mean(1, keepdim=True).sqrt()
            return ((gain * signal_KS.square().mean(1, keepdim=True) + offset).sqrt() * u_KS)[None]
        if units > 2 * len(u_KS):  # fewer cannot be made independent of one another
            u_KS = torch.linalg.solve_triangular(torch.linalg.cholesky(u_KS @ u_KS.T / units), u_KS, upper=False)
        variance_K, axes_KK = torch.linalg.eigh(gain * (signal_KS @ signal_KS.T / signal_KS.shape[1]) + offset)
        return (axes_KK * variance_K.clamp(min=0).sqrt() @ u_KS)[None]


class DrawnMatrix(Matrix):
    """A matrix of infinite width, which puts out and hands down new draws."""

    def __init__(self, plan: Blueprint, units: int, draw: Draw) -> None:
        one = torch.ones(1, 1, 1, dtype=torch.float64)
        super().__init__(plan.layer, plan.name, one, torch.zeros_like(one), {})
        self.forward_gain, self.backward_gain = plan.gains
        self.bias_mean, self.bias_variance = plan.bias, plan.bias_variance
        self.units, self.draw = units, draw
        assert isinstance(plan.law, InitConfig)
        self.rescales = INITIALIZERS[plan.law.name].unit_variance

    def __call__(self, h_MBI: Tensor, observer: Any = None, update: Any = None) -> Tensor:
        if self.rescales:
            second = float(h_MBI.detach().square().mean())
            factor = unit_scale(lambda factor: factor**2 * self.forward_gain * second + self.bias_variance)
            self.forward_gain, self.backward_gain = factor**2 * self.forward_gain, factor**2 * self.backward_gain
        out: Any = _Drawn.apply(h_MBI, self.weight_MIO, self, observer)
        return out


class _Drawn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h_1KS: Tensor, weight: Tensor, part: DrawnMatrix, observer: "_Notes") -> Tensor:
        ctx.part, ctx.observer, ctx.h_1KS = part, observer, h_1KS
        return part.draw(h_1KS, part.forward_gain, part.bias_variance, part.units) + part.bias_mean

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, None, None, None]:
        (dz_1KS,) = grad_outputs
        ctx.observer.backward(ctx.part, MatrixGradient(ctx.h_1KS, dz_1KS, {}))
        if not ctx.needs_input_grad[0]:
            return None, None, None, None
        return ctx.part.draw(dz_1KS, ctx.part.backward_gain, 0.0, ctx.h_1KS.shape[2]), None, None, None


class _Notes:
    """An Observer that notes sums over the units of each example."""

    keeps = False

    def __init__(self) -> None:
        self.sums: dict[tuple[Key, str], tuple[Tensor, int]] = {}

    def means(self) -> MeanSquares:
        """By part and signal."""
        found: MeanSquares = {}
        for (key, name), (sum_K, units) in self.sums.items():
            found.setdefault(key, {})[name] = sum_K / units
        return found

    def output(self, part: Matrix, z_MBO: Tensor) -> None:
        self._note(part.key, "z", z_MBO.square())

    def activation(self, part: Matrix, z_MBN: Tensor, h_MBN: Tensor) -> None:
        self._note(part.key, "h", h_MBN.square())
        self._note(part.key, "h_mean", h_MBN)

    def block(self, layer: int, before: State, after: State) -> None:
        pass

    def backward(self, part: Part, gradient: Gradient) -> None:
        if gradient.dz_MBO is not None:
            self._note(part.key, "dz", gradient.dz_MBO.square())

    def updating(self, part: Part, gradient: Gradient) -> None:
        pass

    def updated(self, part: Part) -> None:
        pass

    def state_gradient(self, layer: int, dx_MBN: Tensor) -> None:
        self._note((layer, ""), "dx", dx_MBN.square())

    def rebuilt(self, layer: int, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        pass

    def _note(self, key: Key, name: str, of_1KS: Tensor) -> None:
        """A state of two tensors comes in two parts."""
        sum_K, units = self.sums.get((key, name), (torch.zeros(()), 0))
        self.sums[key, name] = sum_K + of_1KS.detach()[0].sum(1), units + of_1KS.shape[2]
