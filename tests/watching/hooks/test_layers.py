import math
from collections import OrderedDict
from dataclasses import dataclass

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from watched import backpropagate, batch, mlp, rms

from vgexp.watching.checkup import diagnose
from vgexp.watching.hooks.layers import bare, layers_of, tensors
from vgexp.watching.monitor import watch


def test_tied_weights_are_named_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x):
            return self.head(self.embedding(x))

    model, x = Tied(), torch.randint(20, (30,))
    with watch(model) as monitor:
        F.cross_entropy(model(x), x).backward()
        monitor.step()
    frame = monitor.frame()
    assert frame["name"].tolist() == ["embedding", "head"] and frame["dz_rms"].notna().all()
    assert frame["dw_rms"].tolist() == pytest.approx([rms(model.embedding.weight.grad), math.nan], nan_ok=True)


def test_frozen_layers_are_marked():
    model, (x, y) = mlp(), batch()
    model[0].requires_grad_(False)
    with watch(model) as monitor:
        backpropagate(model, x, y)
        monitor.step()
    frame = monitor.frame()
    assert frame["frozen"].tolist() == [True, False, False, False]
    assert frame["dw_rms"].isna().tolist() == [True, False, False, False]
    assert monitor.coverage()["why"].eq("").all()


def test_sparse_gradients_and_parametrized_weights():
    model = nn.Sequential(
        nn.Embedding(20, 8, sparse=True), nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Linear(8, 20)
    )
    x = torch.randint(20, (30,))
    with watch(model) as monitor:
        F.cross_entropy(model(x), x).backward()
        monitor.step()
    frame = monitor.frame()
    assert frame["name"].tolist() == ["0", "1", "2"]
    dense = model[0].weight.grad.to_dense()
    assert frame["dw_rms"][0] * math.sqrt(20 * 8) == pytest.approx(float(dense.norm()), rel=1e-5)


def test_units_lie_along_the_channels_of_a_convolution():
    linear, convolution = layers_of(nn.Sequential(nn.Linear(3, 4), nn.Conv2d(3, 4, 2)))
    assert (linear.unit_axis(2), linear.unit_axis(3), convolution.unit_axis(4)) == (1, 2, 1)
    assert (linear.fan_in, convolution.fan_in) == (3, 12)
    assert layers_of(nn.Embedding(5, 4))[0].fan_in == 0


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_parameters_that_are_not_the_weights_have_no_fan_in():
    for norm in (nn.utils.parametrizations.weight_norm, nn.utils.weight_norm, nn.utils.parametrizations.orthogonal):
        assert layers_of(norm(nn.Linear(8, 8)))[0].fan_in == 0


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (2, 2)])
def test_the_fan_in_of_a_transposed_convolution_is_what_its_outputs_are_summed_over(stride, groups):
    up = nn.ConvTranspose2d(8, 4, 4, stride, groups=groups, bias=False)
    nn.init.ones_(up.weight)
    inner = up(torch.ones(1, 8, 9, 9))[0, 0, 8, 8]
    assert layers_of(up)[0].fan_in == inner


def test_layers_are_modules_with_a_parameter_of_two_dimensions():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm = nn.Parameter(torch.ones(2, 3)), nn.LayerNorm(3)

    (own,) = layers_of(Own())
    assert (own.name, own.kind, own.frozen) == ("Own", "Own", False) and len(own.weights) == 1


def test_names_are_those_before_a_model_was_distributed(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        model = nn.Sequential(OrderedDict(module=nn.Linear(2, 2), head=nn.Linear(2, 1)))
        distributed = nn.parallel.DistributedDataParallel(model)
        assert bare(distributed) is model
        assert [layer.name for layer in layers_of(distributed)] == ["module", "head"]
    finally:
        dist.destroy_process_group()


def test_a_submodule_that_is_called_module_keeps_its_name():
    model = nn.Sequential(OrderedDict({"0": nn.Linear(2, 2), "module": nn.Sequential(nn.Linear(2, 2))}))
    assert [layer.name for layer in layers_of(model)] == ["0", "module.0"]
    model.forward = model[0].forward
    (finding,) = diagnose(model, (torch.ones(3, 2), torch.ones(3, 2)), F.mse_loss).findings
    assert finding.layers == ["module.0"]


def test_tensors_are_found_in_whatever_a_module_puts_out():
    @dataclass
    class Output:
        logits: torch.Tensor
        labels: torch.Tensor

    a, b, c = torch.ones(1), torch.ones(2), torch.ones(3, dtype=torch.complex64)
    found = list(tensors((a, {"x": [b, "text", None]}, Output(c, torch.ones(1, dtype=torch.long)))))
    assert [id(x) for x in found] == [id(a), id(b), id(c)]
