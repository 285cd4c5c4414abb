"""Against the real libraries."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from watched import agree, by_hand, linears, mlp

from vgexp.watching.monitor import watch

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def data(n=24):
    generator = torch.Generator().manual_seed(3)
    return TensorDataset(torch.randn(n, 16, generator=generator), torch.randint(5, (n,), generator=generator))


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
    expected = by_hand(linears(module), *data()[:8])
    loader = DataLoader(data(), batch_size=8 // accumulate)
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
    trainer.fit(module, loader, DataLoader(data(), batch_size=8))
    frame = callback.monitor.frame()
    assert frame["step"].unique().tolist() == [0, 1, 2]
    assert frame["name"].unique().tolist() == ["net.0", "net.2", "net.4", "net.6"]
    agree(frame[frame["step"] == 0], expected, ("z_rms", "dz_rms", "dw_rms"))  # before clipping, of the whole batch
    assert not any(m._forward_hooks for m in module.modules())


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def test_hugging_face_trainer(tmp_path):
    from transformers import Trainer, TrainingArguments

    from vgexp.watching.callbacks.transformers import Watch

    model, callback = Classifier(), Watch(every=1)
    rows = [{"x": x, "labels": y} for x, y in data()]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=8,
        max_steps=3,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        max_grad_norm=0.0,
        logging_strategy="no",
    )
    weights = [layer.weight.detach().clone() for layer in linears(model)]
    Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[callback]).train()
    frame = callback.monitor.frame()
    assert frame["step"].unique().tolist() == [0, 1, 2] and len(frame) == 12
    assert frame["name"].unique().tolist() == ["net.0", "net.2", "net.4", "net.6"]
    start = [float(weight.square().mean().sqrt()) for weight in weights]
    assert frame["w_rms"][:4].tolist() == pytest.approx(start, rel=1e-5)
    assert frame[["dz_rms", "dw_rms"]].gt(0).all(axis=None)
    assert callback.monitor.diagnosis().verdict in ("healthy", "borderline")
    assert not any(m._forward_hooks for m in model.modules())


def test_accelerate():
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    bare = mlp()
    model, optimizer, loader = accelerator.prepare(
        bare, torch.optim.SGD(bare.parameters(), 0.1), DataLoader(data(), batch_size=8)
    )
    expected = by_hand(linears(bare), *data()[:8])
    with watch(model, every=1, scaler=accelerator.scaler) as monitor:
        for x, y in loader:
            accelerator.backward(F.cross_entropy(model(x), y))
            monitor.step()
            accelerator.clip_grad_norm_(model.parameters(), 1e-6)
            optimizer.step()
            optimizer.zero_grad()
    frame = monitor.frame()
    agree(frame[frame["step"] == 0], expected)
    assert frame["step"].unique().tolist() == [0, 1, 2]


def test_a_hugging_face_model_gives_its_layers(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    from vgexp.watching.checkup import diagnose

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, num_labels=5
    )
    model = BertForSequenceClassification(config)
    x, y = torch.randint(50, (8, 12)), torch.randint(5, (8,))
    with watch(model) as monitor:
        model(input_ids=x, labels=y).loss.backward()
        monitor.step()
    calls = monitor.coverage()
    assert (calls["calls"] == 1).all()
    model.zero_grad()
    assert diagnose(model, (x, y), lambda output, y: F.cross_entropy(output.logits, y)).verdict in (
        "healthy",
        "borderline",
    )
