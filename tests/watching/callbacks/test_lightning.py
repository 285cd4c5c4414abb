"""Against the real library."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from watched import agree, by_hand, examples, linears, mlp

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_lightning(accumulate, tmp_path):
    from lightning.pytorch import LightningModule, Trainer

    from vgexp.watching.callbacks.lightning import Watch

    class Module(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def training_step(self, batch, index):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch, index):
            self.net(batch[0])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    module, callback = Module(), Watch(every=1)
    expected = by_hand(linears(module), *examples()[:8])
    loader = DataLoader(examples(), batch_size=8 // accumulate)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=1e-6,
        accumulate_grad_batches=accumulate,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, loader, DataLoader(examples(), batch_size=8))
    frame = callback.monitor.frame()
    assert frame["step"].unique().tolist() == [0, 1, 2]
    assert frame["name"].unique().tolist() == ["net.0", "net.2", "net.4", "net.6"]
    agree(frame[frame["step"] == 0], expected, ("z_rms", "dz_rms", "dw_rms"))  # before clipping, of the whole batch
    assert frame["update_ratio"].gt(0).all()
    assert not any(m._forward_hooks for m in module.modules())
