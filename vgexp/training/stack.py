"""Stacks: runs that train together, and one step of their training.

Legend: M members, B batch, I inputs, C outputs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.data import Stream
from vgexp.networks import LOSSES, OPTIMIZERS, Observer, Part, Sgd, build


class Stack:
    """Data, networks and optimiser of some runs, which differ in member fields alone."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.run = list(runs), runs[0]
        self.device = torch_device(self.run.device)
        seeds = [run.batch_seed for run in runs]
        self.stream = Stream(self.run.data, seeds, getattr(torch, self.run.dtype), self.device)
        self.network = build(runs, self.stream.data.inputs, self.stream.data.classes, self.device, first_batch)
        self.optimizer = self.new_optimizer(list(self.network.parts.values()))
        self.taken = torch.zeros((), dtype=torch.long, device=self.device)
        """Steps so far, where the device can count them."""
        self.diverged_at_M = torch.full((len(runs),), -1, device=self.device)
        """The first step whose loss was not finite, -1 where there is none."""

    def step(self, x_MBI: Tensor, target: Tensor, update: bool = True) -> Tensor:
        """One step that nobody looks at: the batch's loss (M,).

        It reads and writes tensors of the stack alone, and nothing in it depends on a number on the host or waits for
        the device: a CUDA graph can capture it.
        """
        loss_M, _ = self.observed_step(x_MBI, target, None, update)
        return loss_M

    def observed_step(
        self, x_MBI: Tensor, target: Tensor, observer: Observer | None, update: bool
    ) -> tuple[Tensor, Tensor]:
        """The same under the eyes of an observer, without the update if so wished: the loss (M,) and the outputs."""
        self.optimizer.advance(self.taken)
        shown = observer is not None and self.optimizer.clips  # what will be clipped is known when all of it is
        optimizer = self.optimizer if update or shown else None
        loss_M, z_MBC = self.backpropagate(x_MBI, target, observer, optimizer, follow=update)
        self.optimizer.finish(observer, update)
        fresh_M = (self.diverged_at_M < 0) & ~torch.isfinite(loss_M)
        self.diverged_at_M.copy_(torch.where(fresh_M, self.taken, self.diverged_at_M))
        self.taken += 1
        return loss_M, z_MBC

    def backpropagate(
        self, x_MBI: Tensor, target: Tensor, observer: Observer | None, update: Sgd | None, follow: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Forward and backward of one batch, updating on the way down: the mean loss (M,) and the outputs (M, B, C)."""
        z_MBC = self.network(x_MBI, observer, update, follow=follow)
        loss_MB = LOSSES[self.run.loss](z_MBC, target)
        loss_MB.sum().backward()  # a sum: a member does not feel its neighbours, and dz is that of one example
        return loss_MB.detach().mean(1), z_MBC.detach()

    def target(self, y_MB: Tensor, step: int) -> Tensor:
        """What the loss is of: the classes, or the random cotangents of a step."""
        if self.run.loss == "cotangent":
            return self.stream.cotangent(step, y_MB.shape[1], self.stream.data.classes)
        return y_MB

    def new_optimizer(self, parts: list[Part]) -> Sgd:
        """An optimiser of the runs' numbers for some parts."""
        return OPTIMIZERS[self.run.optim.name](self.runs, parts)


def first_batch(run: Run) -> Tensor:
    """The examples of a run's first step, x_1BI in float64 on the CPU."""
    return Stream(run.data, [run.batch_seed], torch.float64, torch.device("cpu")).batch(0)[0]


def torch_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
