"""Lightning: `Trainer(callbacks=[Watch()])`. Needs the extra `lightning`."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision

from vgexp.watching.monitor import Monitor, watch


class Watch(Callback):
    """Watches the module while it is fitted, once an optimizer step, before gradients are clipped.

    `monitor` holds what was recorded, and `monitor.diagnosis()` gives the verdict. Under automatic mixed precision
    Lightning unscales the weights' gradients first; the scaler's factor is divided out of dz. With several optimizers
    each step of any of them counts as a step.
    """

    def __init__(self, every: str | int | Sequence[int] = "log", quantities: str = "all") -> None:
        self.every, self.quantities = every, quantities
        self.monitor: Monitor | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        plugin = trainer.precision_plugin
        scaler: Any = plugin.scaler if isinstance(plugin, MixedPrecision) else None
        self.monitor = watch(pl_module, self.every, self.quantities, scaler, trainer.optimizers)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        assert self.monitor is not None
        self.monitor.step()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.monitor is not None:
            self.monitor.close()
