"""One step of a stack."""

import copy
from dataclasses import replace

import pytest
import torch
from samples import small

from vgexp.networks.losses import LOSSES
from vgexp.networks.optimizers import OPTIMIZERS
from vgexp.training.stack import Stack, torch_device

REMEDIES = {"weight_decay": 0.1, "clip": 0.3, "warmup": 3, "schedule": "cosine"}


def onto_meta(stack):
    """The stack without a number in it: whoever asks for one raises."""
    shadow = copy.copy(stack)
    shadow.network = stack.network.to("meta")
    shadow.optimizer = stack.new_optimizer(list(shadow.network.parts.values()))
    shadow.taken, shadow.diverged_at_M = stack.taken.to("meta"), stack.diverged_at_M.to("meta")
    return shadow


@pytest.mark.parametrize("family", ["plain", "residual", "reversible"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("batch_size", [1, 6])
@pytest.mark.parametrize("remedies", [{}, REMEDIES], ids=["plain", "remedies"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_looks_at_no_number(family, optimizer, loss, batch_size, remedies, dtype):
    """On the meta device there are shapes and no values: a branch on a value, or a wait for one, would raise."""
    run = small(model__family=family, optim__name=optimizer, loss=loss, data__batch_size=batch_size, dtype=dtype)
    run = replace(run, optim=replace(run.optim, **remedies))
    stack = Stack([run, replace(run, seed=1)])
    x_MBI, y_MB = stack.stream.batch(0)
    loss_M = onto_meta(stack).step(x_MBI.to("meta"), stack.target(y_MB, 0).to("meta"))
    assert loss_M.is_meta and loss_M.shape == (2,)


def changing(stack):
    """The tensors that a step writes to, that of divergence last."""
    found = [tensor for part in stack.network.parts.values() for tensor in part.tensors.values()]
    optimizer = stack.optimizer
    found += [*optimizer.held, optimizer.step] if optimizer.clips else [*optimizer.held[:-1], optimizer.step]
    if optimizer.rates.scheduled:
        found += [*optimizer.rates.descent.values(), *optimizer.rates.decay.values()]
    return [*found, stack.taken, stack.diverged_at_M]


@pytest.mark.parametrize("remedies", [{}, REMEDIES], ids=["plain", "remedies"])
def test_a_step_keeps_every_tensor_where_it_is(remedies):
    """A graph that was captured writes to fixed addresses."""
    run = small(optim__name="adam")
    run = replace(run, optim=replace(run.optim, **remedies))
    stack = Stack([run, replace(run, seed=1)])
    stack.step(*stack.stream.batch(0))
    before = [(tensor.data_ptr(), tensor.clone()) for tensor in changing(stack)]
    stack.step(*stack.stream.batch(1))
    now = changing(stack)
    assert [tensor.data_ptr() for tensor in now] == [address for address, _ in before]
    assert not any(torch.equal(tensor, old) for tensor, (_, old) in zip(now[:-1], before[:-1], strict=True))


def test_divergence_is_noted_once():
    stack = Stack([small(loss="quadratic", optim__lr=1e200), small(loss="quadratic")])
    for step in range(8):
        stack.step(*stack.stream.batch(step))
    first, never = stack.diverged_at_M.tolist()
    assert 0 < first < 8 and never == -1
    assert int(stack.taken) == 8


def test_cotangents_are_targets_of_their_step():
    stack = Stack([small(loss="cotangent")])
    _, y_MB = stack.stream.batch(0)
    assert torch.equal(stack.target(y_MB, 3), stack.stream.cotangent(3, 6, 10))
    assert torch.equal(Stack([small()]).target(y_MB, 3), y_MB)


def test_devices_by_name():
    assert torch_device("cpu").type == "cpu"
    assert torch_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
