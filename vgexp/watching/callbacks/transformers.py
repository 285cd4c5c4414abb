"""Hugging Face: `Trainer(..., callbacks=[Watch()])`. Needs the extra `transformers`."""

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vgexp.watching.monitor import Monitor, watch


class Watch(TrainerCallback):
    """Watches the model while it is trained, once an optimizer step.

    `monitor` holds the records, and `monitor.diagnosis()` the verdict. The Trainer clips gradients before it calls
    anybody, so that dW is what clipping left (`max_grad_norm`, 1 by default; 0 clips nothing). dz, which the verdict is
    read from, is never clipped.
    """

    def __init__(self, every: str | int | Sequence[int] = "log", quantities: str = "all") -> None:
        self.every, self.quantities = every, quantities
        self.monitor: Monitor | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **others: Any
    ) -> None:
        self.monitor = watch(model, self.every, self.quantities)

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
