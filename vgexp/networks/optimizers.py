"""Optimisers that update one layer during its backward pass, with one set of numbers a member.

torch.optim refuses a vector of learning rates and needs all gradients to live at once. Each optimiser here is
called as `update(layer, gradient)`; `direction_norm` says how large the coming update will be.

Legend: M members, I fan-in, O fan-out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, zeros_like

from vgexp.networks.layers import Linear, WeightGradient
from vgexp.numerics import norm

State = dict[str, Tensor]


class Sgd:
    """W <- W - lr dW."""

    slots: tuple[str, ...] = ()
    """Tensors of the size of the weights that are kept from step to step."""

    def __init__(self, numbers: Mapping[str, Tensor], layers: list[Linear], batch_size: int) -> None:
        """`numbers` maps the fields of `optim.*` to float64 tensors (M, 1, 1)."""
        self.exact = dict(numbers)
        self.numbers = {name: number.to(layers[0].weight_MIO.dtype) for name, number in numbers.items()}
        self.per_batch = torch.full_like(self.numbers["lr"], 1 / batch_size)
        self.descent = -self.numbers["lr"]
        self.descent_per_batch = self.descent * self.per_batch
        self.state: dict[int, State] = {
            layer.index: {
                f"{slot}_{name}": zeros_like(parameter, requires_grad=False)
                for slot in self.slots
                for name, parameter in (("weight", layer.weight_MIO), ("bias", layer.bias_M1O))
            }
            for layer in layers
        }

    def __call__(self, layer: Linear, gradient: WeightGradient) -> None:
        """Updates the layer's weights and biases in place."""
        gradient.add_to_(layer.weight_MIO, self.descent_per_batch)
        layer.bias_M1O.addcmul_(gradient.bias_sum_M1O, self.descent_per_batch)

    def direction_norm(self, layer: Linear, gradient: WeightGradient) -> Tensor | None:
        """Norm of what the coming update will be lr times of, (M,); None where that is dW itself."""
        return None

    def advance(self) -> None:
        """Called once a step, before the backward pass."""


class Momentum(Sgd):
    """v <- momentum v + dW, W <- W - lr v, as torch.optim.SGD has it."""

    slots = ("v",)

    def __call__(self, layer: Linear, gradient: WeightGradient) -> None:
        state, momentum = self.state[layer.index], self.numbers["momentum"]
        gradient.add_to_(state["v_weight"].mul_(momentum), self.per_batch)
        layer.weight_MIO.addcmul_(state["v_weight"], self.descent)
        state["v_bias"].mul_(momentum).addcmul_(gradient.bias_sum_M1O, self.per_batch)
        layer.bias_M1O.addcmul_(state["v_bias"], self.descent)

    def direction_norm(self, layer: Linear, gradient: WeightGradient) -> Tensor:
        v = self.state[layer.index]["v_weight"] * self.numbers["momentum"] + gradient.weight_MIO
        return norm(v)


class Adam(Sgd):
    """Kingma & Ba (2015), algorithm 1, as torch.optim.Adam has it."""

    slots = ("m", "v")

    def __init__(self, numbers: Mapping[str, Tensor], layers: list[Linear], batch_size: int) -> None:
        super().__init__(numbers, layers, batch_size)
        self.step = zeros_like(self.exact["lr"])
        self.state[0] = {"step": self.step}

    def advance(self) -> None:
        self.step += 1

    def __call__(self, layer: Linear, gradient: WeightGradient) -> None:
        state = self.state[layer.index]
        for name, parameter, dw in (
            ("weight", layer.weight_MIO, gradient.weight_MIO),
            ("bias", layer.bias_M1O, gradient.bias_sum_M1O * self.per_batch),
        ):
            m, v = state[f"m_{name}"], state[f"v_{name}"]
            m.lerp_(dw, 1 - self.numbers["beta1"])
            v.mul_(self.numbers["beta2"]).add_((1 - self.numbers["beta2"]) * dw * dw)
            parameter.addcmul_(self._direction(m, v), self.descent)

    def direction_norm(self, layer: Linear, gradient: WeightGradient) -> Tensor:
        state, dw = self.state[layer.index], gradient.weight_MIO
        m = state["m_weight"].lerp(dw, 1 - self.numbers["beta1"])
        v = state["v_weight"] * self.numbers["beta2"] + (1 - self.numbers["beta2"]) * dw * dw
        return norm(self._direction(m, v))

    def _direction(self, m: Tensor, v: Tensor) -> Tensor:
        m_hat = m / (1 - self.exact["beta1"] ** self.step).to(m.dtype)
        v_hat = v / (1 - self.exact["beta2"] ** self.step).to(v.dtype)
        return m_hat / (v_hat.sqrt() + self.numbers["eps"])


OPTIMIZERS: dict[str, type[Sgd]] = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
