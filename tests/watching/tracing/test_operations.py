import math

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from vgexp.watching.tracing.extents import Extent, extent
from vgexp.watching.tracing.operations import Operation, Recorder, Source

INF, NAN = math.inf, math.nan


def causes(maker):
    return [cause.name for cause in maker.causes]


def test_what_made_an_infinity_is_known_through_views_and_writes_in_place():
    x = torch.zeros(4, 3)
    with Recorder(nn.Identity()) as recorder:
        h = x.log()
        (maker,) = recorder.makers(h.view(3, 4)[1:])
        assert isinstance(maker, Operation) and (maker.name, causes(maker)) == ("log", [])
        h.mul_(2)
        (maker,) = recorder.makers(h)
        assert isinstance(maker, Operation) and (maker.name, causes(maker)) == ("mul", ["log"])
        h.masked_fill_(h.isinf(), 1.0)
        h[0] = x[0].rsqrt()
        h[1] = 2.0
        (maker,) = recorder.makers(h)
        assert isinstance(maker, Operation) and (maker.name, causes(maker)) == ("copy", ["rsqrt"])


def test_what_no_operation_made():
    model = nn.Linear(2, 2)
    mask = torch.tensor([0.0, -INF])
    model.register_buffer("statistics", torch.tensor([NAN]))
    with torch.no_grad():
        model.weight[0, 0] = INF
    with Recorder(model) as recorder:
        assert recorder.makers(model.weight.t()) == [
            Source("weights", "Linear", "weight", extent(model.weight), torch.float32, masks=False)
        ]
        kinds = [recorder.makers(x)[0] for x in (model.statistics, mask, -mask)]
    assert [(found.kind, found.name) for found in kinds if isinstance(found, Source)] == [
        ("buffer", "statistics"),
        ("input", ""),
    ]
    assert isinstance(kinds[1], Source) and kinds[1].masks


def test_uninitialized_memory_is_nobodys_fault():
    with Recorder(nn.Identity()) as recorder:
        x = torch.full((100,), NAN)
        del x
        y = torch.empty(100)
        y.fill_(1.0)
        z = torch.empty(100).copy_(y)
        assert extent(z).finite
        z[0] = torch.zeros(()).log()
        (maker,) = recorder.makers(z)
    assert isinstance(maker, Operation) and causes(maker) == ["log"]


@pytest.mark.parametrize("reentrant", [None, True, False])
def test_derivatives_belong_to_their_operation(reentrant):
    model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))

    def root(h):
        return (h * 0).sqrt()

    with Recorder(model) as recorder:
        h = model[:2](torch.ones(2, 3))
        h = root(h) if reentrant is None else checkpoint(root, h, use_reentrant=reentrant)
        assert isinstance(h, torch.Tensor)
        model[2](h).sum().backward()
        (maker,) = recorder.makers(model[0].weight.grad)
        while isinstance(maker, Operation) and maker.causes:
            maker = maker.causes[0]
    assert isinstance(maker, Operation) and maker.derives is not None
    assert (maker.name, maker.derives.name, maker.derives.output) == ("sqrt", "sqrt", Extent(0.0, 0.0))
    assert "return (h * 0).sqrt()" in maker.line


def test_the_innermost_module_is_the_one_that_runs():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), nn.LogSoftmax(1))
    nn.init.constant_(model[0][0].weight, NAN)
    with Recorder(model) as recorder:
        (maker,) = recorder.makers(model(torch.ones(1, 2)))
        chain = []
        while isinstance(maker, Operation):
            chain.append((maker.name, maker.module))
            maker = maker.causes[0]
    assert chain == [("log_softmax", "1"), ("tanh", "0.1"), ("matmul", "0.0")]


def test_what_float64_has_in_its_place():
    x = torch.full((3,), 100.0)
    with Recorder(nn.Identity()) as recorder:
        made = [
            recorder.makers(y)[0] for y in (x.exp(), (x * 1e30).half(), x.half().mul_(1000), x / 0, x.double() * INF)
        ]
    exact = [maker.exact for maker in made if isinstance(maker, Operation)]
    assert exact[:3] == pytest.approx([math.exp(100), 1e32, 1e5], rel=1e-6)
    assert math.isnan(exact[3]) and math.isnan(exact[4])
    assert [maker.fed for maker in made if isinstance(maker, Operation)] == [False] * 4 + [True]


def test_what_hides_an_infinity():
    x = torch.zeros(3)
    with Recorder(nn.Identity()) as recorder:
        h = x.log()
        (maker,) = recorder.makers(h)
        torch.where(x == 0, x, h)
    assert isinstance(maker, Operation) and maker.hidden_by == "where"


def test_results_are_those_of_torch():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2)), torch.randn(8, 4)
    model(x).square().sum().backward()
    expected = [p.grad for p in model.parameters()]
    model.zero_grad()
    with Recorder(model):
        model(x).square().sum().backward()
    for p, gradient in zip(model.parameters(), expected, strict=True):
        assert p.grad is not None and gradient is not None
        assert torch.equal(p.grad, gradient)
