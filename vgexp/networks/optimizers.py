"""Optimisers that update one part during its backward pass, with one set of numbers a member.

torch.optim refuses a vector of learning rates and needs all gradients to live at once. Each optimiser here is
called as `update(part, gradient)`; `direction_norm` says how large the coming update will be.

Legend: M members.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, zeros_like

from vgexp.config import own
from vgexp.networks.gradients import Gradient
from vgexp.networks.parts import Key, Part
from vgexp.numerics import norm

COUNTER: Key = (0, "")
"""Where an optimiser keeps what belongs to no part."""


class Sgd:
    """W <- W - lr dW."""

    reads = frozenset({"optim.lr"})
    version = 1
    adaptive = False
    """Whether the size of an update is that of lr, whatever the size of the gradient."""
    slots: tuple[str, ...] = ()
    """Tensors of the size of the weights that are kept from step to step."""

    def __init__(self, numbers: Mapping[str, Tensor], parts: Sequence[Part], batch_size: int) -> None:
        """`numbers` maps the fields of `optim.*` to float64 tensors (M, 1, 1)."""
        dtype = parts[0].tensors["weight"].dtype
        self.exact = dict(numbers)
        self.numbers = {name: number.to(dtype) for name, number in numbers.items()}
        self.per_batch = torch.full_like(self.numbers["lr"], 1 / batch_size)
        self.descent = {
            (part.key, name): -(numbers["lr"] * part.rates_M11[name]).to(dtype)
            for part in parts
            for name in part.tensors
        }
        """- lr, times what the learning rate of each tensor is multiplied with."""
        self.descent_per_batch = {place: descent_M11 * self.per_batch for place, descent_M11 in self.descent.items()}
        self.state: dict[Key, dict[str, Tensor]] = {
            part.key: {
                f"{slot}_{name}": zeros_like(tensor, requires_grad=False)
                for slot in self.slots
                for name, tensor in part.tensors.items()
            }
            for part in parts
        }

    def __call__(self, part: Part, gradient: Gradient) -> None:
        """Updates the tensors of a part in place."""
        for name, tensor in part.tensors.items():
            gradient.add_to_(name, tensor, self.descent_per_batch[part.key, name])

    def direction_norm(self, part: Part, gradient: Gradient) -> Tensor | None:
        """Norm of what the coming update will be lr times of, (M,); None where that is dW itself."""
        return None

    def advance(self) -> None:
        """Called once a step, before the backward pass."""


class Momentum(Sgd):
    """v <- momentum v + dW, W <- W - lr v, as torch.optim.SGD has it."""

    reads = frozenset({"optim.lr", "optim.momentum"})
    slots = ("v",)

    def __call__(self, part: Part, gradient: Gradient) -> None:
        for name, tensor in part.tensors.items():
            v = self.state[part.key][f"v_{name}"].mul_(self.numbers["momentum"])
            gradient.add_to_(name, v, self.per_batch)
            tensor.addcmul_(v, self.descent[part.key, name])

    def direction_norm(self, part: Part, gradient: Gradient) -> Tensor:
        return norm(self.state[part.key]["v_weight"] * self.numbers["momentum"] + gradient.mean("weight"))


class Adam(Sgd):
    """Kingma & Ba (2015), algorithm 1, as torch.optim.Adam has it."""

    reads = frozenset({"optim.lr", "optim.beta1", "optim.beta2", "optim.eps"})
    adaptive = True
    slots = ("m", "v")

    def __init__(self, numbers: Mapping[str, Tensor], parts: Sequence[Part], batch_size: int) -> None:
        super().__init__(numbers, parts, batch_size)
        self.step = zeros_like(self.exact["lr"])
        self.state[COUNTER] = {"step": self.step}

    def advance(self) -> None:
        self.step += 1

    def __call__(self, part: Part, gradient: Gradient) -> None:
        for name, tensor in part.tensors.items():
            m, v = (self.state[part.key][f"{slot}_{name}"] for slot in self.slots)
            dw = gradient.mean(name)
            m.lerp_(dw, 1 - self.numbers["beta1"])
            v.mul_(self.numbers["beta2"]).add_((1 - self.numbers["beta2"]) * dw * dw)
            tensor.addcmul_(self._direction(m, v), self.descent[part.key, name])

    def direction_norm(self, part: Part, gradient: Gradient) -> Tensor:
        state, dw = self.state[part.key], gradient.mean("weight")
        m = state["m_weight"].lerp(dw, 1 - self.numbers["beta1"])
        v = state["v_weight"] * self.numbers["beta2"] + (1 - self.numbers["beta2"]) * dw * dw
        return norm(self._direction(m, v))

    def _direction(self, m: Tensor, v: Tensor) -> Tensor:
        m_hat = m / (1 - self.exact["beta1"] ** self.step).to(m.dtype)
        v_hat = v / (1 - self.exact["beta2"] ** self.step).to(v.dtype)
        return m_hat / (v_hat.sqrt() + self.numbers["eps"])


OPTIMIZERS: dict[str, type[Sgd]] = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
own(OPTIMIZERS)
