import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from samples import small
from torch import nn

from vgexp.networks.families import FAMILIES, plain
from vgexp.networks.gradients import FormedGradient
from vgexp.networks.optimizers import OPTIMIZERS, Sgd
from vgexp.networks.parts import Matrix, Vector
from vgexp.results.writing import Store
from vgexp.training.loop import Training
from vgexp.training.stack import Stack

TORCH = {
    "sgd": lambda p, o: torch.optim.SGD(p, lr=o.lr),
    "momentum": lambda p, o: torch.optim.SGD(p, lr=o.lr, momentum=o.momentum),
    "adam": lambda p, o: torch.optim.Adam(p, lr=o.lr, betas=(o.beta1, o.beta2), eps=o.eps),
}
RATES = {"weight": 0.5, "bias": 3.0}
REMEDIES = {
    "none": {},
    "decay": {"optim__weight_decay": 0.7},
    "clip": {"optim__clip": 0.3},
    "warmup": {"optim__warmup": 8},
    "cosine": {"optim__warmup": 3, "optim__schedule": "cosine"},
    "all": {"optim__weight_decay": 0.7, "optim__clip": 0.3, "optim__warmup": 7, "optim__schedule": "cosine"},
}


def rated(run, inputs, classes):
    """Parts of a plain network whose tensors have rates of their own."""
    return [
        replace(part, rate=RATES["weight"], bias_rate=RATES["bias"]) for part in plain.blueprints(run, inputs, classes)
    ]


def begun(run, steps):
    """A training after so many steps."""
    training = Training([run], Store(Path("results")))
    for _ in range(steps):
        training.observe_and_update()
    return training


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 6])
@pytest.mark.parametrize("rates", [{}, RATES], ids=["one rate", "a rate a tensor"])
@pytest.mark.parametrize("remedies", REMEDIES)
def test_training_is_torchs_at_one_member(name, batch_size, rates, remedies, train_all, monkeypatch):
    """30 steps of the whole network against nn.Sequential and torch.optim, thin and fat batches.

    Weights decay by AdamW's; with the other optimisers, which know no decoupled decay, by its formula.
    """
    if rates:
        monkeypatch.setitem(FAMILIES, "plain", replace(plain.FAMILY, blueprints=rated))
    common = {"optim__name": name, "optim__lr": 0.02, "steps": 30, "data__batch_size": batch_size}
    run = small(**common, **REMEDIES[remedies])
    start = train_all(small(steps=0))
    model = nn.Sequential(
        *(part for i, o in [(64, 12), (12, 12), (12, 12)] for part in (nn.Linear(i, o), nn.Tanh())),
        nn.Linear(12, 10),
    ).double()
    linears = [module for module in model if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for linear, layer in zip(linears, start.stack.network.matrices, strict=True):
            linear.weight.copy_(layer.weight_MIO[0].T)
            linear.bias.copy_(layer.bias_M1O[0, 0])
    training = train_all(run)
    groups = [{"params": [getattr(linear, tensor) for linear in linears]} for tensor in ("weight", "bias")]
    if name == "adam":
        optimizer = torch.optim.AdamW(groups, betas=(run.optim.beta1, run.optim.beta2), eps=run.optim.eps)
    else:
        optimizer = TORCH[name](groups, run.optim)
    peak = max(0, run.optim.warmup - 1)
    lr = [min(1, (step + 1) / (peak + 1)) for step in range(30)]
    if run.optim.schedule == "cosine":
        lr = [part * (1 + math.cos(math.pi * max(0, t - peak) / (30 - peak))) / 2 for t, part in enumerate(lr)]
    clipped = 0
    for step in range(30):
        x, y = training.stack.stream.batch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[0]), y[0]).backward()
        for group, tensor in zip(optimizer.param_groups, ("weight", "bias"), strict=True):
            group["lr"] = run.optim.lr * lr[step] * rates.get(tensor, 1.0)
            group["weight_decay"] = run.optim.weight_decay if name == "adam" and tensor == "weight" else 0.0
        if run.optim.clip is not None:
            total = float(nn.utils.clip_grad_norm_(model.parameters(), math.inf))
            for tensor in model.parameters():
                tensor.grad *= min(1, run.optim.clip / total)
            clipped += total > run.optim.clip
        if name != "adam":
            for linear in linears:
                linear.weight.data *= 1 - optimizer.param_groups[0]["lr"] * run.optim.weight_decay
        optimizer.step()
    assert clipped > 20 or run.optim.clip is None
    for linear, layer in zip(linears, training.stack.network.matrices, strict=True):
        torch.testing.assert_close(layer.weight_MIO[0].T, linear.weight, atol=1e-11, rtol=1e-9)
        torch.testing.assert_close(layer.bias_M1O[0, 0], linear.bias, atol=1e-11, rtol=1e-9)


@pytest.mark.parametrize(("beta1", "beta2"), [(0.9, 0.999), (0.9, 0.99999999), (0.999999, 0.999)])
def test_adam_in_float32_takes_betas_close_to_1(beta1, beta2, train_all):
    """1 - beta is that of the beta given, not of one that was rounded to float32, which may be 1."""
    given = {"dtype": "float32", "model__depth": 1}
    (first, last) = train_all(small(steps=0, **given)).stack.network.matrices
    weights = [layer.weight_MIO[0].clone() for layer in (first, last)]
    training = train_all(
        small(optim__name="adam", optim__lr=0.001, optim__beta1=beta1, optim__beta2=beta2, steps=3, **given)
    )
    model = nn.Sequential(nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10))
    for i, weight in ((0, weights[0]), (2, weights[1])):
        model[i].weight.data, model[i].bias.data = weight.T.clone(), torch.zeros(weight.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), 0.001, (beta1, beta2))
    for step in range(3):
        x, y = training.stack.stream.batch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[0]), y[0]).backward()
        optimizer.step()
    moved = training.stack.network.matrices[1].weight_MIO[0] - weights[1]
    torch.testing.assert_close(moved, model[2].weight.T - weights[1], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("remedies", REMEDIES)
@pytest.mark.parametrize("batch_size", [1, 6])
@pytest.mark.parametrize("tier", ["light", "cost"])
def test_update_ratio_is_the_change_that_happens(name, remedies, batch_size, tier):
    """Of every part with weights that are not 0, by the rate of its step."""
    changes = REMEDIES[remedies] | {"model__family": "residual", "model__norm": "layer", "probe__tier": tier}
    training = begun(small(optim__name=name, optim__lr=0.02, data__batch_size=batch_size, **changes), 5)
    weights = {key: part.tensors["weight"] for key, part in training.stack.network.parts.items()}
    before = {key: weight.detach().clone() for key, weight in weights.items()}
    training.observe_and_update()
    rms = lambda tensor: float(tensor.square().mean().sqrt())
    layers = training.records.tables()["layers"].query("step == 5").set_index(["layer", "part"])["update_ratio"]
    assert len(layers) == len(weights) == 7
    for key, weight in weights.items():
        change = rms(weight.detach() - before[key]) / rms(before[key])
        assert change > 0 and layers[key] == pytest.approx(change, rel=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_last_step_shows_the_update_that_would_come(name):
    """Clipped too, although gradients are kept for the update's sake; what it shows moves nothing."""
    changes = {"optim__name": name, "optim__clip": 0.3, "model__norm": "batch"}
    longer, last = begun(small(steps=6, **changes), 6), begun(small(steps=5, **changes), 6)
    found, expected = (each.records.tables()["layers"].query("step == 5") for each in (last, longer))
    assert found["update_ratio"].to_list() == expected["update_ratio"].to_list()
    still = begun(small(steps=5, **changes), 5)
    for key, part in last.stack.network.parts.items():
        before = still.stack.network.parts[key].state
        assert all(torch.equal(tensor, before[name]) for name, tensor in part.state.items())


def test_what_is_recorded_of_the_gradient_is_that_of_before_clipping():
    clipped, free = (begun(small(steps=0, optim__clip=clip), 1).records.tables() for clip in (1e-3, None))
    assert clipped["layers"]["dw_rms"].to_list() == free["layers"]["dw_rms"].to_list()
    assert clipped["steps"]["grad_rms"].to_list() == free["steps"]["grad_rms"].to_list()


def test_clipping_is_torchs():
    """Which adds 1e-6 to the norm."""
    stack = Stack([small(optim__lr=1.0, optim__clip=0.2, model__family="residual", model__branch="learned")])
    before = {key: [t.detach().clone() for t in part.tensors.values()] for key, part in stack.network.parts.items()}
    stack.step(*stack.stream.batch(0))
    free = Stack([small(optim__lr=1.0, model__family="residual", model__branch="learned")])
    free.step(*free.stream.batch(0))
    moved = lambda of: [
        before[key][i] - tensor.detach()
        for key, part in of.network.parts.items()
        for i, tensor in enumerate(part.tensors.values())
    ]
    leaves = [torch.zeros_like(change, requires_grad=True) for change in moved(free)]
    for leaf, change in zip(leaves, moved(free), strict=True):
        leaf.grad = change
    assert float(nn.utils.clip_grad_norm_(leaves, 0.2)) > 0.4
    for ours, leaf in zip(moved(stack), leaves, strict=True):
        torch.testing.assert_close(ours, leaf.grad, rtol=1e-5, atol=1e-15)
    assert float(torch.stack([change.square().sum() for change in moved(stack)]).sum().sqrt()) == pytest.approx(0.2)


def parts_of(members, dtype):
    """A matrix and a vector that are 0."""
    zeros = lambda *shape: torch.zeros(members, *shape, dtype=dtype)
    rates = dict.fromkeys(("weight", "bias"), torch.ones(members, 1, 1, dtype=torch.float64))
    return [Matrix(1, "", zeros(3, 4), zeros(1, 4), rates), Vector(1, "gain", zeros(1, 5), rates)]


@pytest.mark.parametrize(("dtype", "huge", "small_"), [(torch.float32, 1e30, 1e-30), (torch.float64, 1e200, 1e-200)])
def test_norms_of_members_neither_overflow_nor_touch_each_other(dtype, huge, small_):
    """Squares of 1e30 are infinite in float32, those of 1e200 in float64; what is no number stays with its member."""
    scales = torch.tensor([huge, 1.0, small_, math.nan, 2.0], dtype=dtype).view(-1, 1, 1)
    parts = parts_of(5, dtype)
    run = small(optim__lr=1.0, optim__clip=1e-3, data__batch_size=2)
    runs = [replace(run, optim=replace(run.optim, clip=clip)) for clip in (1e-3, 1e-3, 1e-3, 1e-3, 100.0)]
    optimizer = Sgd(runs, parts)
    drawn = [{name: torch.randn(tensor.shape, dtype=dtype) for name, tensor in part.tensors.items()} for part in parts]
    for part, sums in zip(parts, drawn, strict=True):
        optimizer(part, FormedGradient({name: scales * tensor for name, tensor in sums.items()}, 2))
    optimizer.finish()
    ours = torch.cat([tensor.detach().flatten(1) for part in parts for tensor in part.tensors.values()], 1).double()
    gradient_MK = torch.cat([tensor.flatten(1) for sums in drawn for tensor in sums.values()], 1).double() / 2
    unit_MK = gradient_MK / gradient_MK.norm(dim=1, keepdim=True)
    torch.testing.assert_close(ours[:2], -1e-3 * unit_MK[:2], rtol=1e-5, atol=0)
    torch.testing.assert_close(ours[2] / small_, -gradient_MK[2], rtol=1e-5, atol=0)
    assert ours[3].isnan().all()
    torch.testing.assert_close(ours[4], -2 * gradient_MK[4], rtol=1e-5, atol=0)


def test_a_part_that_is_used_twice_cannot_be_clipped():
    parts = parts_of(1, torch.float64)
    optimizer = Sgd([small(optim__clip=1.0)], parts)
    gradient = FormedGradient({name: torch.ones_like(tensor) for name, tensor in parts[0].tensors.items()}, 6)
    optimizer(parts[0], gradient)
    with pytest.raises(RuntimeError, match="used twice"):
        optimizer(parts[0], gradient)


def test_a_clip_that_is_never_reached_changes_nothing_but_the_order_of_rounding(train_all):
    free, wide = (train_all(small(optim__name="adam", optim__clip=clip)) for clip in (None, 1e6))
    for ours, theirs in zip(wide.stack.network.matrices, free.stack.network.matrices, strict=True):
        torch.testing.assert_close(ours.weight_MIO, theirs.weight_MIO, rtol=1e-9, atol=1e-12)


def test_unclipped_runs_keep_no_gradients():
    assert sum(t.numel() for t in Stack([small()]).optimizer.held) == 0
    stack = Stack([small(optim__clip=1.0)])
    entries = sum(t.numel() for part in stack.network.parts.values() for t in part.tensors.values())
    assert sum(t.numel() for t in stack.optimizer.held) == entries + 8  # and the norm of each tensor


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_asking_for_the_coming_direction_changes_nothing(name):
    stack = Stack([small(optim__name=name, optim__weight_decay=0.1)])
    stack.step(*stack.stream.batch(0))
    slots = [tensor.clone() for kept in stack.optimizer.state.values() for tensor in kept.values()]
    part = stack.network.matrices[0]
    gradient = FormedGradient({"weight": torch.ones_like(part.weight_MIO)}, 6)
    assert stack.optimizer.direction_norm(part, gradient) is not None
    now = [tensor for kept in stack.optimizer.state.values() for tensor in kept.values()]
    assert all(torch.equal(one, other) for one, other in zip(now, slots, strict=True))
