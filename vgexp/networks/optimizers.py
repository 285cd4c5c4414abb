"""Optimisers that update one part during its backward pass, with one set of numbers a member.

torch.optim refuses a vector of learning rates and needs all gradients to live at once. Each optimiser here is
called as `update(part, gradient)` and updates at once; only where the gradient is clipped by the norm of all parts
together are gradients kept until the backward pass is over.

Legend: M members, K tensors of all parts.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, zeros_like

from vgexp.config import FIELDS, Run, own
from vgexp.networks.gradients import FormedGradient, Gradient
from vgexp.networks.parts import Key, Observer, Part
from vgexp.networks.rates import Place, Rates
from vgexp.numerics import norm, safe_norm


class Sgd:
    """W <- W - lr dW; and what all optimisers share: W <- W - lr (direction + weight_decay W).

    The learning rate lr is that of the step (`vgexp.networks.rates`), times the tensor's own. Weights of matrices
    decay, apart from the gradient: Loshchilov & Hutter (2019), as torch.optim.AdamW has it. With `optim.clip` the
    gradient of each member is multiplied by min(1, clip / its norm) first: Pascanu et al. (2013). To add an
    optimiser, write its `slots` and its `direction`.
    """

    reads = frozenset({"optim.lr"})
    version = 1
    adaptive = False
    """Whether the size of an update is that of lr, whatever the size of the gradient."""
    slots: tuple[str, ...] = ()
    """Names of the tensors that are kept from step to step for every tensor that is trained, of its size."""

    def __init__(self, runs: Sequence[Run], parts: Sequence[Part]) -> None:
        """`runs` are the members', alike but in their numbers."""
        weight = parts[0].tensors["weight"]
        self.parts = {part.key: part for part in parts}
        self.exact = numbers(runs, weight.device)
        self.numbers = {name: number.to(weight.dtype) for name, number in self.exact.items()}
        """The numbers of `optim.*` by their name there, (M, 1, 1); `exact` has them in float64."""
        self.batch_size = runs[0].data.batch_size
        self.per_batch = torch.full_like(self.numbers["lr"], 1 / self.batch_size)
        self.rates = Rates(runs, self.exact, parts)
        self.step = zeros_like(self.exact["lr"])
        """The number of the coming update: 1, 2, ..."""
        self._slots: dict[Place, dict[str, Tensor]] = {
            (part.key, name): {slot: zeros_like(tensor, requires_grad=False) for slot in self.slots}
            for part in parts
            for name, tensor in part.tensors.items()
        }
        self.clips = any(map(clips, runs))
        self._one = torch.ones_like(self.per_batch)
        self._kept: dict[Place, Tensor] = {
            (part.key, name): zeros_like(tensor, requires_grad=False)
            for part in parts
            for name, tensor in part.tensors.items()
            if self.clips
        }
        """Gradients of the summed loss."""
        self._norms_KM = torch.zeros(len(self._kept), len(runs), dtype=torch.float64, device=weight.device)
        self._norm_of = dict(zip(self._kept, self._norms_KM, strict=True))
        self._waiting: dict[Key, Part] = {}
        """Parts whose gradients are kept for the end of the backward pass."""

    @property
    def state(self) -> dict[Key, dict[str, Tensor]]:
        """What a training needs to go on, by part."""
        return {
            key: {f"{slot}_{name}": self._slots[key, name][slot] for slot in self.slots for name in part.tensors}
            for key, part in self.parts.items()
        }

    @property
    def held(self) -> list[Tensor]:
        """Every tensor that stays from step to step."""
        slots = [tensor for slots in self._slots.values() for tensor in slots.values()]
        return [*slots, *self._kept.values(), self._norms_KM]

    def direction(self, name: str, gradient: Gradient, slots: Mapping[str, Tensor]) -> Tensor | None:
        """What the tensor `name` of a part is to move against, times its learning rate; renews its slots in place.

        None where that is the gradient itself, which a thin batch then need not form.
        """
        return None

    def advance(self, taken: Tensor) -> None:
        """Called once a step, before the forward pass, with the number of steps before it, which lies on the device."""
        self.step.copy_(taken)
        self.rates.set(self.step)
        self.step += 1

    def __call__(self, part: Part, gradient: Gradient) -> None:
        """Takes the gradient of a part: updates its tensors in place, or keeps it to be clipped."""
        if self.clips:
            self._keep(part, gradient)
        else:
            self._update(part, gradient)

    @torch.no_grad()
    def finish(self, observer: Observer | None = None, update: bool = True) -> None:
        """Called once a step, after the backward pass: updates by what was kept, if anything was.

        Without `update` an observer is shown the coming updates and nothing moves.
        """
        if not self._waiting:
            return
        norm_M = safe_norm(self._norms_KM.T[..., None]) / self.batch_size
        scale_M11 = (self.exact["clip"] / norm_M.view(-1, 1, 1)).clamp(max=1).to(self.per_batch.dtype)
        for part in self._waiting.values():
            sums = {name: self._kept[part.key, name].mul_(scale_M11) for name in part.tensors}
            gradient = FormedGradient(sums, self.batch_size)
            if observer is not None:
                observer.updating(part, gradient)
            if update:
                self._update(part, gradient)
            if observer is not None:
                observer.updated(part)
        self._waiting.clear()

    def direction_norm(self, part: Part, gradient: Gradient) -> Tensor | None:
        """Norm of what the coming update of a part's weights will be the learning rate times of, (M,), decay included,
        if it takes this gradient; None where that is the norm of the batch's gradient. Changes nothing."""
        place = part.key, "weight"
        slots = {slot: tensor.clone() for slot, tensor in self._slots[place].items()}
        direction = self.direction("weight", gradient, slots)
        if direction is None:
            if not self.clips and not self.rates.decay:
                return None
            direction = gradient.mean("weight")
        if place in self.rates.decay:
            direction = torch.addcmul(direction, part.tensors["weight"].detach(), self.numbers["weight_decay"])
        return norm(direction)

    def _update(self, part: Part, gradient: Gradient) -> None:
        for name, tensor in part.tensors.items():
            place = part.key, name
            if place in self.rates.decay:
                tensor.addcmul_(tensor, self.rates.decay[place])
            direction = self.direction(name, gradient, self._slots[place])
            if direction is None:
                gradient.add_to_(name, tensor, self.rates.descent_per_batch[place])
            else:
                tensor.addcmul_(direction, self.rates.descent[place])

    def _keep(self, part: Part, gradient: Gradient) -> None:
        if part.key in self._waiting:
            raise RuntimeError(f"part {part.key} was used twice: its gradients would have to be added before clipping")
        self._waiting[part.key] = part
        for name in part.tensors:
            place = part.key, name
            gradient.add_to_(name, self._kept[place].zero_(), self._one)
            self._norm_of[place].copy_(safe_norm(self._kept[place]))


class Momentum(Sgd):
    """v <- momentum v + dW, W <- W - lr v, as torch.optim.SGD has it."""

    reads = frozenset({"optim.lr", "optim.momentum"})
    slots = ("v",)

    def direction(self, name: str, gradient: Gradient, slots: Mapping[str, Tensor]) -> Tensor:
        v = slots["v"].mul_(self.numbers["momentum"])
        gradient.add_to_(name, v, self.per_batch)
        return v


class Adam(Sgd):
    """Kingma & Ba (2015), algorithm 1, as torch.optim.Adam has it; with weight decay torch.optim.AdamW."""

    reads = frozenset({"optim.lr", "optim.beta1", "optim.beta2", "optim.eps"})
    adaptive = True
    version = 2
    slots = ("m", "v")

    def direction(self, name: str, gradient: Gradient, slots: Mapping[str, Tensor]) -> Tensor:
        m, v, dw = slots["m"], slots["v"], gradient.mean(name)
        share = {name: (1 - self.exact[name]).to(dw.dtype) for name in ("beta1", "beta2")}  # not of a rounded beta
        m.lerp_(dw, share["beta1"])
        v.mul_(self.numbers["beta2"]).add_(share["beta2"] * dw * dw)
        m_hat = m / (1 - self.exact["beta1"] ** self.step).to(m.dtype)
        v_hat = v / (1 - self.exact["beta2"] ** self.step).to(v.dtype)
        return m_hat / (v_hat.sqrt() + self.numbers["eps"])


OPTIMIZERS: dict[str, type[Sgd]] = {"sgd": Sgd, "momentum": Momentum, "adam": Adam}
own(OPTIMIZERS)


def clips(run: Run) -> bool:
    """Whether a run clips its gradients."""
    return run.optim.clip is not None


def kept_tensors(run: Run) -> int:
    """Tensors of the size of the weights that a run keeps beside them: its optimiser's slots, and where it clips all
    gradients."""
    return len(OPTIMIZERS[run.optim.name].slots) + clips(run)


def numbers(runs: Sequence[Run], device: torch.device) -> dict[str, Tensor]:
    """The numbers of `optim.*` by their name there, in float64, (M, 1, 1); infinite for a clip of none."""
    names = [key.removeprefix("optim.") for key, known in FIELDS.items() if key.startswith("optim.") and known.member]
    found = {name: [getattr(run.optim, name) for run in runs] for name in names}
    return {
        name: torch.tensor([math.inf if x is None else x for x in values], dtype=torch.float64, device=device).view(
            -1, 1, 1
        )
        for name, values in found.items()
    }
