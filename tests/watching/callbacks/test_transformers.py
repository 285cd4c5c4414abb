"""Against the real library."""

import pytest
import torch.nn.functional as F
from torch import nn
from watched import examples, linears, mlp

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


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
    rows = [{"x": x, "labels": y} for x, y in examples()]
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
    assert frame[["dz_rms", "dw_rms", "update_ratio"]].gt(0).all(axis=None)
    assert callback.monitor.diagnosis().verdict in ("healthy", "undecided")
    assert not any(m._forward_hooks for m in model.modules())
