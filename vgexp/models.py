"""Families of deep MLPs with a leading member axis. A single network is a stack of one.

Legend: M members, B batch, I inputs, O units of a layer, C outputs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from vgexp.activations import Activation, activation
from vgexp.config import Run, fans, law
from vgexp.initializers import weights
from vgexp.layers import Linear, Observer, Update
from vgexp.seeds import generator


class Plain:
    """f = f(D) o ... o f(1): z = h W + b, h = phi(z), and a linear readout."""

    def __init__(self, layers: list[Linear], phi: Activation) -> None:
        self.layers, self.phi = layers, phi

    def __call__(self, x_MBI: Tensor, observer: Observer | None = None, update: Update | None = None) -> Tensor:
        """The outputs z_MBC. `observer` sees every layer forward and backward, `update` trains them
        backward."""
        h_MBO = x_MBI
        for layer in self.layers[:-1]:
            z_MBO = layer(h_MBO, observer, update)
            h_MBO = self.phi.phi(z_MBO)
            if observer is not None:
                observer.forward(layer, z_MBO, h_MBO)
        z_MBC = self.layers[-1](h_MBO, observer, update)
        if observer is not None:
            observer.forward(self.layers[-1], z_MBC, None)
        return z_MBC

    def to(self, device: torch.device | str) -> "Plain":
        """A copy on another device; on `meta`, its shapes alone."""
        scratch: dict[Any, Tensor] = {}
        layers = [
            Linear(
                layer.index,
                layer.weight_MIO.detach().to(device, copy=True),
                layer.bias_M1O.to(device, copy=True),
                scratch,
            )
            for layer in self.layers
        ]
        return type(self)(layers, self.phi)


def plain(members: Sequence[Run], inputs: int, classes: int, device: torch.device) -> Plain:
    """A stack of plain networks; member m's weights come from its seed alone, drawn on the CPU in float64."""
    dtype = getattr(torch, members[0].dtype)
    scratch: dict[Any, Tensor] = {}
    layers = []
    for index, (fan_in, fan_out) in enumerate(fans(members[0], inputs, classes), start=1):
        weight_MIO = torch.empty(len(members), fan_in, fan_out, dtype=dtype)
        bias_M1O = torch.empty(len(members), 1, fan_out, dtype=dtype)
        for m, run in enumerate(members):
            draw = generator("weights", run.seed, index)
            init = law(run, index)
            weight_MIO[m] = weights(init.name, fan_in, fan_out, draw, init.sigma_w, init.distribution)
            bias_M1O[m] = init.sigma_b * torch.randn(fan_out, generator=draw, dtype=torch.float64)
        layers.append(Linear(index, weight_MIO.to(device), bias_M1O.to(device), scratch))
    model = members[0].model
    return Plain(layers, activation(model.activation, model.negative_slope))


MODELS: dict[str, Callable[[Sequence[Run], int, int, torch.device], Plain]] = {"plain": plain}


def bytes_per_member(run: Run, inputs: int, classes: int, slots: int) -> int:
    """Memory of one member: weights with the optimiser's slots and a scratch gradient, and activations."""
    size = 8 if run.dtype == "float64" else 4
    shapes = fans(run, inputs, classes)
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in shapes)
    largest = max(math.prod(shape) for shape in shapes)
    units = sum(fan_out for _, fan_out in shapes)
    return size * (parameters * (1 + slots) + largest + 4 * run.data.batch_size * (inputs + units))
