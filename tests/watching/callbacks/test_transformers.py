"""Against the real library."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import batch, examples, linears, mlp

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = mlp()

    def forward(self, x, labels):
        logits = self.net(x)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def trainer(folder, model, callbacks):
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        max_steps=3,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        max_grad_norm=0.0,
        logging_strategy="no",
    )
    rows = [{"x": x, "labels": y} for x, y in examples()]
    return Trainer(model=model, args=arguments, train_dataset=rows, callbacks=callbacks)


def test_hugging_face_trainer(tmp_path):
    from vgexp.watching.callbacks.transformers import Watch

    model, callback = Classifier(), Watch(every=1)
    weights = [layer.weight.detach().clone() for layer in linears(model)]
    trainer(tmp_path, model, [callback]).train()
    frame = callback.monitor.frame()
    assert frame["step"].unique().tolist() == [0, 1, 2] and len(frame) == 12
    assert frame["name"].unique().tolist() == ["net.0", "net.2", "net.4", "net.6"]
    start = [float(weight.square().mean().sqrt()) for weight in weights]
    assert frame["w_rms"][:4].tolist() == pytest.approx(start, rel=1e-5)
    assert frame[["dz_rms", "dw_rms", "update_ratio"]].gt(0).all(axis=None)
    assert callback.monitor.diagnosis().verdict in ("healthy", "undecided")
    assert not any(m._forward_hooks for m in model.modules())


def test_a_training_that_was_interrupted_begins_anew(tmp_path):
    """The Trainer tells no callback of an exception."""
    from transformers import TrainerCallback

    from vgexp.watching.callbacks.transformers import Watch

    class Once(TrainerCallback):
        def on_step_end(self, args, state, control, **others):
            if not hasattr(self, "done"):
                self.done = True
                raise KeyboardInterrupt

    callback = Watch(every=1)
    training = trainer(tmp_path, Classifier(), [callback, Once()])
    with pytest.raises(KeyboardInterrupt):
        training.train()
    training.train()
    assert callback.monitor.frame()["step"].unique().tolist() == [0, 1, 2]


def test_the_scaler_of_accelerates_optimizer_is_divided_out():
    from accelerate.optimizer import AcceleratedOptimizer
    from accelerate.state import AcceleratorState
    from transformers import TrainerControl, TrainerState

    from vgexp.watching.callbacks.transformers import Watch

    AcceleratorState(cpu=True)
    frames = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=65536.0)):
        model, (x, y) = mlp(), batch()
        optimizer = AcceleratedOptimizer(torch.optim.SGD(model.parameters(), 0.1), scaler=scaler)
        callback, told = Watch(every=1), (None, TrainerState(), TrainerControl())
        callback.on_train_begin(*told, model=model, optimizer=optimizer)
        loss = F.cross_entropy(model(x), y)
        (loss if scaler is None else scaler.scale(loss)).backward()
        callback.on_pre_optimizer_step(*told)
        frames.append(callback.monitor.frame()[["dz_rms", "dw_rms"]].to_numpy())
        callback.on_train_end(*told)
    np.testing.assert_allclose(frames[1], frames[0], rtol=1e-4)
