"""Hugging Face: `Trainer(..., callbacks=[Watch()])`. Needs the extra `transformers`."""

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vgexp.watching.monitor import Monitor, watch


class Watch(TrainerCallback):
    """Watches the model while it is trained, once an optimizer step.

    `monitor` holds what was recorded, and `monitor.diagnosis()` gives the verdict. The Trainer clips gradients before
    it calls its callbacks, so dW is measured after clipping (`max_grad_norm`, 1 by default; 0 clips nothing). The
    verdict is read from dz, which is not clipped.
    """

    def __init__(self, every: str | int | Sequence[int] = "log", quantities: str = "all") -> None:
        self.every, self.quantities = every, quantities
        self.monitor: Monitor | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        optimizer: Any = None,
        **others: Any,
    ) -> None:
        if self.monitor is not None:  # of a training that an exception ended, or that begins anew with a smaller batch
            self.monitor.close()
        scaler = getattr(optimizer, "scaler", None)  # accelerate's optimizers have it
        self.monitor = watch(model, self.every, self.quantities, scaler, optimizer)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        assert self.monitor is not None
        self.monitor.step()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **others: Any
    ) -> None:
        if self.monitor is not None:
            self.monitor.close()
