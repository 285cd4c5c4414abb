import pytest
import torch
from torch import nn
from watched import mlp

from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.monitor import watch


def test_compiled_models_are_refused():
    with pytest.raises(Unsupported, match="watch it, then compile it"):
        watch(torch.compile(mlp(), backend="aot_eager"))
    model = mlp()
    model.compile(backend="aot_eager")
    with pytest.raises(Unsupported, match="compiled already"):
        watch(model)


def test_watching_twice_is_refused():
    model = mlp()
    with watch(model):
        with pytest.raises(Unsupported, match="watched already"):
            watch(model)
        with pytest.raises(Unsupported, match="watched already"):
            watch(nn.Sequential(model, nn.Linear(5, 5)))
    with watch(model):
        pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.ReLU(), "no layer to watch"),
        ("a model", "accepts an nn.Module"),
        (nn.DataParallel(nn.Linear(2, 2)), "runs copies"),
    ],
)
def test_what_is_no_model_is_refused(model, message):
    with pytest.raises(Unsupported, match=message):
        watch(model)
