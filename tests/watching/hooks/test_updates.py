import copy
import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import backpropagate, batch, linears, mlp, train

from vgexp.watching.monitor import watch


def trained(model, optimizers, steps=3, every=1, watched=True, **options):
    """The monitor of a training, and what each update did to each layer's weights, by hand in float64."""
    monitor = watch(model, every=every, optimizer=optimizers, **options)
    expected = []
    for seed in range(steps):
        model.zero_grad()
        backpropagate(model, *batch(seed=seed))
        monitor.step()
        before = [layer.weight.detach().double() for layer in linears(model)]
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            optimizer.step()
        after = [layer.weight.detach().double() for layer in linears(model)]
        expected.append([float((b - a).norm() / a.norm()) for a, b in zip(before, after, strict=True)])
    monitor.close()
    return monitor, expected


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, foreach=False),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
}


@pytest.mark.parametrize("quantities", ["all", "gradients"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_ratio_is_that_of_the_update_after_the_step(name, quantities):
    model, (x, y), expected = mlp().double(), batch(), []
    optimizer = OPTIMIZERS[name](model.parameters())
    monitor = watch(model, every=1, quantities=quantities, optimizer=optimizer)
    for _ in range(3):
        model.zero_grad()
        backpropagate(model, x.double(), y)
        monitor.step()
        before = [layer.weight.detach().clone() for layer in linears(model)]
        optimizer.step()
        moved = zip(before, linears(model), strict=True)
        expected += [float((layer.weight.detach() - w).norm() / w.norm()) for w, layer in moved]
    monitor.close()
    assert monitor.frame()["update_ratio"].tolist() == pytest.approx(expected, rel=1e-12)


def test_two_optimizers_share_a_model():
    model = mlp()
    first = torch.optim.SGD(model[:3].parameters(), 0.1)
    second = torch.optim.Adam(model[3:].parameters(), 0.01)
    monitor, expected = trained(model, [first, second])
    assert monitor.frame()["update_ratio"].tolist() == pytest.approx(np.ravel(expected), rel=1e-4)
    assert monitor.diagnosis().verdict in ("healthy", "undecided")


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_two_optimizers_of_one_class_share_a_model(optimizer):
    model = mlp()
    monitor, _ = trained(model, [optimizer(half.parameters(), 0.01) for half in (model[:3], model[3:])])
    assert "not_updated" not in [finding.kind for finding in monitor.diagnosis().findings]
    model = mlp()
    monitor, _ = trained(model, [optimizer(model[:3].parameters(), 0.0), optimizer(model[3:].parameters(), 0.01)])
    holdings = monitor.evidence()[-1].holdings
    assert holdings is not None and holdings.stopped == {f"group 0 of {optimizer.__name__} 1": ["0", "2"]}


def test_only_the_first_update_after_a_recorded_step_counts_and_copies_are_freed():
    model, copied = mlp(), []
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    optimizer.register_step_pre_hook(lambda *_: copied.append(len(monitor._updates._before)))
    monitor = watch(model, every=[1], optimizer=optimizer)
    optimizer.register_step_pre_hook(lambda *_: copied.append(len(monitor._updates._before)))
    for seed in range(4):
        model.zero_grad()
        backpropagate(model, *batch(seed=seed))
        monitor.step()
        optimizer.step()
        ratios = monitor.frame()["update_ratio"].tolist()
        optimizer.step()
        assert monitor.frame()["update_ratio"].tolist() == ratios
        assert monitor._updates._before == []
    monitor.close()
    assert copied == [0] * 4 + [0, 4, 0, 0] + [0] * 8
    assert monitor.frame()["update_ratio"].notna().tolist() == [True] * 4


@pytest.mark.parametrize("fused", [False, True])
def test_an_update_that_a_scaler_skips_is_missing(fused):
    model, (x, y) = mlp(), batch()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    seen = []
    with watch(model, every=1, scaler=scaler, optimizer=optimizer) as monitor:
        for infinite in (False, True, False):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            monitor.step()
            if infinite:
                model[0].weight.grad[0, 0] = torch.inf
            scaler.step(optimizer)
            scaler.update()
        seen = monitor.frame().groupby("step")["update_ratio"].apply(lambda ratios: ratios.notna().all())
    assert seen.tolist() == [True, False, True]


@pytest.mark.parametrize("quantities", ["all", "gradients"])
def test_training_is_bitwise_the_same(quantities):
    watched, bare = mlp(), mlp()
    for model in (watched, bare):
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        monitor = watch(model, every=1, quantities=quantities, optimizer=optimizer) if model is watched else None
        for seed in range(10):
            optimizer.zero_grad()
            backpropagate(model, *batch(seed=seed))
            if monitor:
                monitor.step()
            optimizer.step()
        if monitor:
            monitor.close()
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), bare.parameters(), strict=True))


def test_nothing_is_left_in_the_optimizer():
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    monitor, _ = trained(model, optimizer)
    assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    gone = weakref.ref(monitor)
    del monitor
    gc.collect()
    assert gone() is None


def test_a_step_with_a_closure_is_measured_too():
    """As Lightning takes it: forward and backward pass run within the optimizer's step."""
    model, (x, y) = mlp(), batch()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before = [layer.weight.detach().double() for layer in linears(model)]
    with watch(model, every=1, optimizer=optimizer) as monitor:

        def closure():
            optimizer.zero_grad()
            backpropagate(model, x, y)
            monitor.step()
            return 0.0

        optimizer.step(closure)
    moved = zip(before, linears(model), strict=True)
    expected = [float((layer.weight.detach() - w).norm() / w.norm()) for w, layer in moved]
    assert monitor.frame()["update_ratio"].tolist() == pytest.approx(expected, rel=1e-4)


def test_zero_weights_have_no_ratio():
    model = mlp()
    nn.init.zeros_(model[6].weight)
    monitor, _ = trained(model, torch.optim.SGD(model.parameters(), 0.1), steps=1)
    assert monitor.frame()["update_ratio"].notna().tolist() == [True, True, True, False]


class Outer(torch.optim.Optimizer):
    """Hands its calls on, as accelerate's optimizer does."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    @property
    def param_groups(self):
        return self.optimizer.param_groups

    def step(self, closure=None):
        return self.optimizer.step(closure)


def test_an_optimizer_inside_another_is_watched():
    model = mlp()
    monitor, expected = trained(model, Outer(torch.optim.SGD(model.parameters(), 0.1)))
    assert monitor.frame()["update_ratio"].tolist() == pytest.approx(np.ravel(expected), rel=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "got"), [("adam", "str"), ([], "nothing"), ([None], "NoneType"), (iter([]), "list_iterator")]
)
def test_what_is_no_optimizer_is_refused_and_the_model_stays_free(optimizer, got):
    model = mlp()
    with pytest.raises(ValueError, match=f"optimizer: got {got}, accepts a torch.optim.Optimizer or a list of them"):
        watch(model, optimizer=optimizer)
    watch(model).close()


def holdings(model, optimizer):
    with watch(model, optimizer=optimizer) as monitor:
        backpropagate(model, *batch())
        monitor.step()
    return monitor._observations[-1].holdings


def test_what_no_optimizer_holds_is_named():
    model = mlp()
    assert holdings(model, torch.optim.SGD(model.parameters(), 0.1)) == ([], [], {})
    assert holdings(model, torch.optim.SGD(model[:3].parameters(), 0.1)) == (["4", "6"], [], {})
    biases = [layer.bias for layer in linears(model)]
    assert holdings(model, torch.optim.SGD(biases, 0.1))[0] == ["0.weight", "2.weight", "4.weight", "6.weight"]


def test_what_is_frozen_or_not_reached_is_nobody_s_fault():
    model = mlp()
    model[0].requires_grad_(False)
    model.unused = nn.Parameter(torch.ones(3))
    assert holdings(model, torch.optim.SGD(model[2:7].parameters(), 0.1)) == ([], [], {})


def test_what_was_replaced_after_the_optimizer_was_made_is_told_from_what_was_forgotten():
    model = mlp()
    optimizer = torch.optim.SGD(model[:6].parameters(), 0.1)
    model[2] = nn.Linear(16, 16)
    assert holdings(model, optimizer) == (["6"], ["2"], {})
    other = copy.deepcopy(model)
    assert holdings(other, torch.optim.SGD(model.parameters(), 0.1)).replaced == ["0", "2", "4", "6"]


def test_an_optimizer_may_hold_parameters_of_other_models():
    model, loss = mlp(), nn.Linear(16, 16)
    assert holdings(model, torch.optim.SGD([*model.parameters(), *loss.parameters()], 0.1)) == ([], [], {})


@pytest.mark.parametrize("zero", [0, 0.0, torch.tensor(0.0)])
def test_groups_with_a_learning_rate_of_0_are_named(zero):
    model = mlp()
    groups = [{"params": model[:4].parameters()}, {"params": model[4:].parameters(), "lr": zero}]
    assert holdings(model, torch.optim.SGD(groups, 0.1)).stopped == {"group 1 of SGD": ["4", "6"]}


def unmoved(model, update, steps=4):
    with watch(model, every=1) as monitor:
        for seed in range(steps):
            model.zero_grad()
            backpropagate(model, *batch(seed=seed))
            monitor.step()
            update()
    return monitor._observations[-1].unmoved


def test_layers_that_stand_still_while_others_move():
    model = mlp()
    partial = torch.optim.SGD(model[2:].parameters(), 0.1)
    assert unmoved(model, partial.step) == {"0": 0}
    assert unmoved(model, partial.step, steps=2) == {}
    assert unmoved(model, lambda: None) == {}
    assert unmoved(model, torch.optim.SGD(model.parameters(), 0.1).step) == {}


def test_weights_that_are_assigned_by_their_data_move():
    """Which leaves no trace but in the numbers."""
    model = mlp()

    def update():
        for layer in linears(model)[1:]:
            layer.weight.data.sub_(0.1 * layer.weight.grad)

    assert unmoved(model, update) == {"0": 0}


def test_an_update_too_small_to_see_in_the_numbers_is_one():
    model = mlp()
    small = torch.optim.SGD([{"params": model[0].parameters(), "lr": 1e-30}, {"params": model[2:].parameters()}], 0.1)
    assert unmoved(model, small.step) == {}


def test_without_an_optimizer_no_ratio_is_measured():
    assert train(mlp(), True, steps=2).frame()["update_ratio"].isna().all()
