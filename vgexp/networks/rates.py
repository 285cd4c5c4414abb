"""Learning rates: of every tensor of every part, at every step.

What differs from step to step comes from a count on the device, so that a CUDA graph can capture a step; and all rates
lie in one tensor, so that a schedule takes the same few operations a step however many parts there are.

Legend: M members, K tensors of all parts, R parts, T steps.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.networks.parts import Key, Matrix, Part

Place = tuple[Key, str]
"""A part and the name of one of its tensors."""


def share(step: Tensor, warmup: Tensor, steps: int, schedule: str) -> Tensor:
    """What of the learning rate is in force at a step t of T, in float64.

    With p = max(warmup, 1) - 1, the first step at the whole rate,

        t <= p: (t + 1) / (p + 1);   t > p: 1, or with the schedule cosine (1 + cos(pi (t - p) / (T - p))) / 2.

    The cosine reaches 0 at step T, which is observed and not updated: every update moves, the last one least. A
    training that ends within its warm-up never decays. As torch's LinearLR and CosineAnnealingLR one after the other.
    """
    peak = (warmup - 1).clamp(min=0)
    rising = ((step + 1) / (peak + 1)).clamp(max=1)
    if schedule == "constant":
        return rising
    gone = (step - peak).clamp(min=0) / (steps - peak).clamp(min=1)
    return rising * (1 + torch.cos(math.pi * gone)) / 2


class Rates:
    """What moves a tensor at the step that was set last."""

    def __init__(self, runs: Sequence[Run], numbers: Mapping[str, Tensor], parts: Sequence[Part]) -> None:
        """`numbers` maps the fields of `optim.*` to float64 tensors (M, 1, 1)."""
        run, dtype = runs[0], parts[0].tensors["weight"].dtype
        decays = any(run.optim.weight_decay for run in runs)
        self._run, self._numbers = run, numbers
        self.scheduled = run.optim.schedule != "constant" or any(run.optim.warmup > 1 for run in runs)
        """Whether rates may differ from step to step."""
        places = [(part.key, name) for part in parts for name in part.tensors]
        self._exact_KM11 = torch.stack(
            [numbers["lr"] * part.rates_M11[name] for part in parts for name in part.tensors]
        )
        self._of_weights = [k for k, (_, name) in enumerate(places) if name == "weight"]
        self._per_batch = torch.full_like(numbers["lr"], 1 / run.data.batch_size, dtype=dtype)
        self._descent_KM11 = self._exact_KM11.to(dtype, copy=True)
        self._descent_per_batch_KM11 = torch.zeros_like(self._descent_KM11)
        self._decay_KM11 = torch.zeros_like(self._descent_KM11)
        self._write(self._exact_KM11)
        self.descent: dict[Place, Tensor] = dict(zip(places, self._descent_KM11, strict=True))
        """- lr, times what the learning rate of each tensor is multiplied by, times the schedule's share."""
        self.descent_per_batch: dict[Place, Tensor] = dict(zip(places, self._descent_per_batch_KM11, strict=True))
        """The same over the size of the batch."""
        matrices = {part.key for part in parts if isinstance(part, Matrix)}
        self.decay: dict[Place, Tensor] = {
            (key, name): decay_M11
            for (key, name), decay_M11 in zip(places, self._decay_KM11, strict=True)
            if decays and key in matrices and name == "weight"
        }
        """The descent times `optim.weight_decay`, of the weights of matrices; empty where none decay."""

    def set(self, step_M11: Tensor) -> None:
        """Takes the rates of a step, whose number lies on the device."""
        if self.scheduled:
            self._write(self._exact_KM11 * self._share(step_M11, self._numbers["warmup"]))

    def of_weights(self, steps: Sequence[int]) -> np.ndarray:
        """The learning rate of every part's weights at some steps, (T, R, M), in float64."""
        exact_RM = self._exact_KM11[self._of_weights].flatten(1).cpu()
        step_T1 = torch.tensor(steps, dtype=torch.float64).view(-1, 1)
        share_TM = self._share(step_T1, self._numbers["warmup"].flatten().cpu())
        return (exact_RM * share_TM[:, None]).numpy()

    def _share(self, step: Tensor, warmup: Tensor) -> Tensor:
        return share(step, warmup, self._run.steps, self._run.optim.schedule)

    def _write(self, rates_KM11: Tensor) -> None:
        self._descent_KM11.copy_(-rates_KM11)
        torch.mul(self._descent_KM11, self._per_batch, out=self._descent_per_batch_KM11)
        self._decay_KM11.copy_(-rates_KM11 * self._numbers["weight_decay"])
