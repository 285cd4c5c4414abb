"""Which parameters get no gradient says a real backward pass; where they are cut off says the network's own text."""

import inspect
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from field import NETWORKS, batch_for, mutated
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from vgexp.watching.tracing.batches import outcome
from vgexp.watching.tracing.cuts import CHECKPOINT, constant_derivatives, cuts
from vgexp.watching.tracing.trace import BACKWARD, GRAD

FIRST = ["first.weight", "first.bias"]


class Net(nn.Module):
    """Something between two layers."""

    def __init__(self, between, width=6):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.between = nn.Linear(4, 6), nn.Linear(width, 3), between

    def forward(self, x):
        return self.last(self.between(self.first(x)))


def problem(model, loss_fn=F.cross_entropy):
    """What computes the loss, and the parameters without a gradient."""
    x, y = torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 0, 1])
    loss = loss_fn(model(x), y)
    model.zero_grad()
    if isinstance(loss, torch.Tensor) and loss.requires_grad:
        loss.backward()
    names = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    return lambda: loss_fn(model(x), y), names


def found(model, loss_fn=F.cross_entropy):
    run, names = problem(model, loss_fn)
    return cuts(model, run, names)


@dataclass
class Output:
    h: torch.Tensor
    more: dict


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return (h * 2).round()

    @staticmethod
    def backward(ctx, dh):
        return None


class Cells(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        cells = (h * 2).floor()
        ctx.mark_non_differentiable(cells)
        return cells

    @staticmethod
    def backward(ctx, dh):
        return None


@torch.no_grad()
def decorated(h):
    return h.relu()


@torch.inference_mode()
def inferred(h):
    return h.relu()


def no_grad(h):
    with torch.no_grad():
        h = h.relu()
    return h + 0


def in_place(h):
    buffer = torch.zeros(5, 6)
    buffer[:, :3] = h.detach()[:, :3]
    return buffer * 2


def through_views(h):
    buffer = torch.zeros(5, 6)
    for row, new in zip(buffer, h.data, strict=True):
        row.copy_(new)
    return buffer * 2


def out(h):
    buffer = torch.zeros(5, 6)
    torch.mul(h.detach(), 2.0, out=buffer)
    return buffer


def detached_in_place(h):
    return (h * 2).detach_()


def packed(h):
    packed = pack_padded_sequence(h[None].detach(), torch.tensor([5]), batch_first=True)
    return pad_packed_sequence(PackedSequence(packed.data * 2, packed.batch_sizes), batch_first=True)[0][0]


def nested(h):
    output = Output(h, {"also": [h.detach()]})
    return output.more["also"][0] * output.h.shape[0]


def looked_at(h):
    """What is looked at leads nowhere, and is not the cut."""
    cut = h.round().long()
    assert torch.isfinite(h).all() and (h > -9).all()
    h.detach().norm(), h.mean().item(), f"{h.sum():.3f}", repr(h), torch.zeros_like(h), h.new_zeros(2), h.shape
    return cut.to(h)


KINDS = {
    "argmax": lambda h: F.one_hot(h.argmax(1), 6).float(),
    "topk": lambda h: F.one_hot(h.topk(1).indices[:, 0], 6).float(),
    "long": lambda h: h.long().float(),
    "gt": lambda h: torch.where(h > 0, 1.0, -1.0),
    "histc": lambda h: torch.histc(h, 6)[None].expand(5, 6),
    "multinomial": lambda h: F.one_hot(torch.multinomial(h.softmax(1), 1)[:, 0], 6).float(),
    "detach": lambda h: torch.relu(h.detach()) * 2,
    "requires_grad": lambda h: h.detach().requires_grad_() * 2,
    "data": lambda h: torch.relu(h.data) * 2,
    "item": lambda h: torch.ones(5, 6) * h.mean().item(),
    "float": lambda h: torch.ones(5, 6) * float(h.mean()),
    "math": lambda h: torch.ones(5, 6) * math.sin(h.mean()),
    "tolist": lambda h: torch.tensor(h.tolist()),
    "numpy": lambda h: torch.from_numpy(h.detach().numpy() * 2),
    "asarray": lambda h: torch.as_tensor(np.asarray(h.detach().cpu()) * 2),
    "tensor": lambda h: torch.tensor([[h.mean()] * 6] * 5),
    "nn.Parameter": lambda h: F.relu(nn.Parameter(h) * 2),
    "alias": lambda h: F.relu(torch.autograd.Variable(h) * 2),
    "no_grad": no_grad,
    "decorated": decorated,
    "inference_mode": lambda h: inferred(h).clone(),
    "in_place": in_place,
    "through_views": through_views,
    "out": out,
    "detached_in_place": detached_in_place,
    "packed": packed,
    "nested": nested,
    "looked_at": looked_at,
    "vmap": lambda h: torch.vmap(lambda row: torch.relu(row.detach()) * 2)(h),
    "sample": lambda h: torch.distributions.Normal(h, 1.0).sample() * 2,
    "autograd.grad": lambda h: torch.autograd.grad((h**3).sum(), h, retain_graph=True)[0] * 2,
    "Cells": lambda h: Cells.apply(h) * 2,
}
OPERATIONS = {
    "requires_grad": "detach", "math": "float", "asarray": "numpy", "decorated": "no_grad", "in_place": "detach",
    "through_views": "data", "out": "detach", "detached_in_place": "detach", "packed": "detach", "nested": "detach",
    "looked_at": "long", "sample": "no_grad", "autograd.grad": GRAD, "Cells": "Cells.forward",
    "vmap": "detach",
}  # fmt: skip
"""Where the kind has another name."""
LINES = {
    "inference_mode": "@torch.inference_mode()", "no_grad": "with torch.no_grad():", "decorated": "@torch.no_grad()",
    "in_place": "buffer[:, :3] = h.detach()[:, :3]",
    "through_views": "for row, new in zip(buffer, h.data, strict=True):",
    "out": "torch.mul(h.detach(), 2.0, out=buffer)", "detached_in_place": "return (h * 2).detach_()",
    "packed": "packed = pack_padded_sequence(h[None].detach(), torch.tensor([5]), batch_first=True)",
    "nested": 'output = Output(h, {"also": [h.detach()]})', "looked_at": "cut = h.round().long()",
    "Cells": "cells = (h * 2).floor()",
}  # fmt: skip
"""Where the cut is not in the entry of KINDS itself."""


@pytest.mark.filterwarnings("ignore")  # torch's own, about copies of tensors and the like
@pytest.mark.parametrize("kind", KINDS)
def test_the_operation_the_module_and_the_line_of_a_cut(kind):
    between = KINDS[kind]
    cut_of = found(Net(between))
    assert list(cut_of) == FIRST and len(set(cut_of.values())) == 1
    cut = cut_of["first.bias"]
    source = LINES.get(kind) or inspect.getsource(between).strip()
    assert (cut.operation, cut.module) == (OPERATIONS.get(kind, kind), "Net")
    place, number, text = cut.line.split(":", 2)
    assert place.endswith("tests/watching/tracing/test_cuts.py") and text.strip() == source
    assert Path(__file__).read_text().splitlines()[int(number) - 1].strip() == source
    assert cut.operation in cut.words and cut.line in cut.words


def argmax_loss(output, y):
    return F.l1_loss(output.argmax(1).float(), y.float())


def detached_loss(output, y):
    return F.cross_entropy(output, y).detach()


def number(output, y):
    return F.cross_entropy(output, y).item()


@torch.no_grad()
def loss_under_no_grad(output, y):
    return F.cross_entropy(output, y)


@pytest.mark.parametrize(
    ("loss_fn", "operation", "source"),
    [
        (argmax_loss, "argmax", "return F.l1_loss(output.argmax(1).float(), y.float())"),
        (detached_loss, "detach", "return F.cross_entropy(output, y).detach()"),
        (number, "item", "return F.cross_entropy(output, y).item()"),
        (loss_under_no_grad, "no_grad", "@torch.no_grad()"),
    ],
)
def test_a_loss_without_any_graph(loss_fn, operation, source):
    cut_of = found(Net(torch.relu), loss_fn)
    assert len(cut_of) == 4
    for cut in cut_of.values():
        assert (cut.operation, cut.module, cut.line.split(": ", 1)[1]) == (operation, "", source)
        assert f"cut off at {operation} in the loss (" in cut.words


def test_a_forward_pass_without_a_graph_is_cut_where_gradients_are_switched_off():
    model = Net(torch.relu)
    model.forward = torch.no_grad()(model.forward)
    cut_of = found(model)
    assert set(cut_of) == {*FIRST, "last.weight", "last.bias"}
    assert {(cut.operation, cut.module) for cut in cut_of.values()} == {("no_grad", "Net")}
    assert cut_of["last.bias"].line.endswith("def forward(self, x):")


class Switches(Net):
    """Gradients are off for the first layer, and on again for what comes after it."""

    def __init__(self, off):
        super().__init__(torch.relu)
        self.off = off

    def forward(self, x):
        torch.set_grad_enabled(False)
        torch.zeros(1)
        torch.set_grad_enabled(True)
        with self.off():
            with torch.no_grad():
                h = self.first(x)
            h = self.between(h)
        return self.last(h.clone())


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode, partial(torch.set_grad_enabled, False)])
def test_the_outermost_of_the_contexts_that_are_open_is_named(off):
    cut_of = found(Switches(off))
    assert set(cut_of) == set(FIRST)
    assert cut_of["first.bias"].line.endswith("with self.off():")


class Slips(nn.Module):
    """Vectors and scalars, each taken out of the graph in its own way; the layers have gradients."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.head, self.norm = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3), nn.LayerNorm(6)
        self.alpha, self.beta = nn.Parameter(torch.tensor(0.5)), nn.Parameter(torch.ones(6))
        self.gamma, self.delta, self.base = (nn.Parameter(torch.ones(6)) for _ in range(3))
        self.held = self.delta.data

    def forward(self, x):
        h = torch.relu(self.a(x)) * self.alpha.item()
        h = torch.relu(self.b(h)) * self.beta.data
        scale = nn.Parameter(self.gamma * 2)
        with torch.no_grad():
            g = self.norm(h)
            self.base.mul_(self.gamma)
        return self.head((h + g) * scale * self.held)


def test_parameters_with_few_entries_that_are_taken_out_of_the_graph():
    cut_of = found(Slips())
    assert {name: (cut.operation, cut.module) for name, cut in cut_of.items()} == {
        "norm.weight": ("no_grad", "Slips"),
        "norm.bias": ("no_grad", "Slips"),
        "alpha": ("item", "Slips"),
        "beta": ("data", "Slips"),
        "gamma": ("nn.Parameter", "Slips"),
        "delta": ("alias", "Slips"),
        "base": ("not in the loss", "Slips"),
    }
    assert cut_of["norm.bias"].line.endswith("with torch.no_grad():")
    assert cut_of["alpha"].words.endswith(", and nothing else of it reaches the loss")
    assert cut_of["alpha"].line.endswith("h = torch.relu(self.a(x)) * self.alpha.item()")
    assert cut_of["beta"].line.endswith("h = torch.relu(self.b(h)) * self.beta.data")


class Derived(nn.Module):
    """A loss of the derivative, by `differentiate`."""

    def __init__(self, differentiate):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 1)
        self.factor, self.differentiate = nn.Parameter(torch.ones(4)), differentiate

    def forward(self, x):
        x = x.detach().requires_grad_()
        y = self.last(torch.tanh(self.first(x)))
        return y, self.factor * self.differentiate(y, x)


def by_grad(y, x):
    return torch.autograd.grad(y.sum(), x, retain_graph=True)[0]


def by_backward(y, x):
    y.sum().backward(retain_graph=True, inputs=[x])
    return x.grad


def with_graph(y, x):
    return torch.autograd.grad(y.sum(), x, None, True, True)[0]


@pytest.mark.parametrize(
    ("differentiate", "operation", "source"),
    [
        (by_grad, GRAD, "return torch.autograd.grad(y.sum(), x, retain_graph=True)[0]"),
        (by_backward, BACKWARD, "y.sum().backward(retain_graph=True, inputs=[x])"),
    ],
)
def test_a_derivative_without_create_graph(differentiate, operation, source):
    model = Derived(differentiate)
    run, names = problem(model, lambda output, y: output[1].square().sum())
    assert names == [*FIRST, "last.weight", "last.bias"]
    cut_of = cuts(model, run, names)
    assert list(cut_of) == names and len(set(cut_of.values())) == 1
    cut = cut_of["first.weight"]
    assert (cut.operation, cut.module, cut.line.split(": ", 1)[1]) == (operation, "Derived", source)
    run, names = problem(model, lambda output, y: output[0].square().sum() + output[1].square().sum())
    assert names == [] and constant_derivatives(model, run) == [cut]
    run, _ = problem(model, lambda output, y: output[0].square().sum())
    assert constant_derivatives(model, run) == []


def adversarial(net, x):
    """Goodfellow et al. (2015)."""
    x = x.clone().requires_grad_()
    dx = torch.autograd.grad(net(x).square().sum(), x)[0]
    return net(x.detach() + 0.1 * dx.sign())


def langevin(net, x):
    """Samples of an energy, as Du & Mordatch (2019) draw them."""
    z = torch.zeros_like(x)
    for _ in range(3):
        z.requires_grad_()
        z = (z - 0.1 * torch.autograd.grad(net(z).sum(), z)[0]).detach()
    return net(x) - net(z)


def weighed_in_words(net, x):
    x = x.clone().requires_grad_()
    y = net(x)
    dx = torch.autograd.grad(y.sum(), x, retain_graph=True)[0].detach()
    return y * dx[:, :1].abs()


def weighed_without_graph(net, x):
    x = x.clone().requires_grad_()
    y = net(x)
    dx = torch.autograd.grad(y.sum(), x, retain_graph=True)[0]
    with torch.no_grad():
        size = dx.norm(dim=1, keepdim=True)
    return y / size


def through_a_matrix(net, x):
    x = x.clone().requires_grad_()
    y = net(x)
    return y + F.linear(torch.autograd.grad(y.sum(), x, retain_graph=True)[0], net[0].weight)[:, :1]


MEANT = [adversarial, langevin, weighed_in_words, weighed_without_graph, through_a_matrix]


@pytest.mark.parametrize("forward", MEANT, ids=lambda forward: forward.__name__)
@pytest.mark.parametrize("parametrized", [False, True])
def test_a_derivative_that_is_meant_as_a_constant_is_none_that_lacks_a_graph(forward, parametrized):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    if parametrized and forward is not through_a_matrix:
        nn.utils.parametrizations.weight_norm(net[0])
    x = torch.randn(5, 4)
    assert constant_derivatives(net, lambda: forward(net, x).square().mean()) == []


def test_a_derivative_that_is_detached_for_a_log_still_lacks_a_graph():
    def watched(y, x):
        slope = by_grad(y, x)
        slope.detach().norm().item(), torch.relu(slope.detach())
        return slope

    model = Derived(watched)
    run, _ = problem(model, lambda output, y: output[0].square().sum() + output[1].square().sum())
    assert [cut.operation for cut in constant_derivatives(model, run)] == [GRAD]


def test_a_derivative_with_a_graph_is_no_constant():
    model = Derived(with_graph)
    run, names = problem(model, lambda output, y: output[1].square().sum())
    assert constant_derivatives(model, run) == [] and names == ["last.bias"]
    cut = cuts(model, run, names)["last.bias"]
    assert (cut.operation, cut.module) == ("not in the loss", "last") and "does not depend on" in cut.words


def test_what_nobody_reads_and_why():
    class Convolution(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin, self.bias = nn.Linear(4, 6, bias=False), nn.Parameter(torch.zeros(6))

        def forward(self, x):
            return self.lin(x) + self.bias

    model = Net(torch.relu)
    model.first = Convolution()
    model.first.weight = nn.Parameter(torch.rand(4, 6))
    model.first.margin = nn.Parameter(torch.rand(7))
    model.spare = nn.ModuleDict({"heads": nn.ModuleList([nn.Sequential(nn.Linear(6, 3), nn.ReLU())])})
    model.parts = nn.Sequential(nn.Identity(), nn.Linear(3, 1))
    model.register_forward_hook(lambda module, args, output: model.parts[0](output))
    model.rest = nn.ParameterList([torch.zeros(2)])
    model.still = nn.Linear(2, 2)
    for parameter in model.still.parameters():
        parameter.requires_grad_(False)
    cut_of = found(model)
    instead = "first reads first.lin.weight instead, of the same shape; was it replaced?"
    heads, nothing = "spare.heads.0", "no operation reads it"
    assert {name: (cut.operation, cut.module, cut.line, cut.words) for name, cut in cut_of.items()} == {
        "first.weight": ("unused", "first", "", f"{nothing}: {instead}"),
        "first.margin": ("unused", "first", "", f"{nothing}, although first ran"),
        "spare.heads.0.0.weight": ("unused", heads, "", f"{nothing}: {heads} never ran"),
        "spare.heads.0.0.bias": ("unused", heads, "", f"{nothing}: {heads} never ran"),
        "parts.1.weight": ("unused", "parts.1", "", f"{nothing}: parts.1 never ran"),
        "parts.1.bias": ("unused", "parts.1", "", f"{nothing}: parts.1 never ran"),
        "rest.0": ("unused", "Net", "", f"{nothing}, although Net ran"),
        "still.weight": ("frozen", "still", "", f"its requires_grad is False, and {nothing}"),
        "still.bias": ("frozen", "still", "", f"its requires_grad is False, and {nothing}"),
    }  # fmt: skip
    assert "copy its numbers" in cut_of["first.weight"].remedy and "in forward" in cut_of["first.margin"].remedy


def test_frozen_while_it_was_read():
    model = Net(torch.relu)
    model.first.weight.requires_grad_(False)
    cut = found(model)["first.weight"]
    assert (cut.operation, cut.module) == ("frozen", "first") and cut.line.endswith("self.first(x)))")

    class Freezing(Net):
        def forward(self, x):
            self.first.bias.requires_grad_(False)
            output = super().forward(x)
            self.first.bias.requires_grad_(True)
            return output

    cut_of = found(Freezing(torch.relu))
    assert list(cut_of) == ["first.bias"] and cut_of["first.bias"].module == "first"
    assert cut_of["first.bias"].operation == "frozen" and cut_of["first.bias"].line.endswith("self.first(x)))")


def test_what_is_computed_and_not_used():
    model = Net(lambda h: h)
    model.extra = nn.Linear(4, 3)
    model.register_forward_hook(lambda module, args, output: (output, module.extra(args[0])))
    cut_of = found(model, lambda output, y: F.cross_entropy(output[0], y))
    assert list(cut_of) == ["extra.weight", "extra.bias"]
    cut = cut_of["extra.weight"]
    assert (cut.operation, cut.module) == ("not in the loss", "extra") and "(output, module.extra(args[0]))" in cut.line


class Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        return x * weight

    @staticmethod
    def backward(ctx, dy):
        return dy, None


def test_a_function_that_returns_no_gradient():
    model = Net(lambda h: Nothing.apply(h, model.scale))
    model.scale = nn.Parameter(torch.ones(6))
    cut_of = found(model)
    assert list(cut_of) == ["scale"]
    cut = cut_of["scale"]
    assert (cut.operation, cut.module) == ("Nothing returns no gradient", "Net")
    assert cut.line.endswith("return x * weight")
    cut_of = found(Net(Rounded.apply))
    assert list(cut_of) == FIRST and cut_of["first.bias"].operation == "Rounded returns no gradient"


class Checkpointed(nn.Module):
    def __init__(self, needs_gradient, end=lambda h: h):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.needs_gradient, self.end = needs_gradient, end

    def forward(self, x):
        x = x.clone().requires_grad_(self.needs_gradient)
        return self.last(self.end(checkpoint(self.first, x, use_reentrant=True)))


@pytest.mark.filterwarnings("ignore:None of the inputs")
def test_a_reentrant_checkpoint_without_an_input_that_requires_a_gradient():
    cut_of = found(Checkpointed(False))
    assert list(cut_of) == FIRST
    cut = cut_of["first.weight"]
    assert (cut.operation, cut.module) == (CHECKPOINT, "first") and "checkpoint(self.first" in cut.line
    assert problem(Checkpointed(True))[1] == []


@pytest.mark.parametrize("needs_gradient", [True, False])
@pytest.mark.filterwarnings("ignore:None of the inputs")
def test_a_cut_behind_a_checkpoint(needs_gradient):
    cut_of = found(Checkpointed(needs_gradient, KINDS["detach"]))
    assert {cut.operation for cut in cut_of.values()} == {"detach" if needs_gradient else CHECKPOINT}
    assert list(cut_of) == FIRST


def sound():
    model = nn.Sequential(
        nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout(0.2), nn.Flatten(), nn.Linear(8, 6)
    )
    return Net(lambda h: F.gelu(h) + h.detach().mean(), 6), model


def test_a_sound_network_has_no_cuts():
    net, convolutions = sound()
    for model, shape in ((net, (5, 4)), (convolutions, (5, 1, 4)), (nn.LSTM(4, 3, 2), (7, 5, 4))):
        x = torch.randn(shape)

        def run(model=model, x=x):
            output = model(x)
            return (output[0] if isinstance(output, tuple) else output).square().mean()

        names = [name for name, _ in model.named_parameters()]
        assert cuts(model, run, names) == {} and constant_derivatives(model, run) == []


CELLS = [(name, mutation) for name in NETWORKS for mutation in ("sound", "detach")]
CELLS.remove(("PINN", "detach"))  # does not run: its loss takes the derivative that is cut off


@pytest.mark.parametrize(("name", "mutation"), CELLS)
def test_of_all_parameters_those_without_a_gradient_have_a_cut(name, mutation):
    model, loss_fn = mutated(name, mutation), NETWORKS[name].loss
    batch = batch_for(name, model)
    outcome(model, batch, loss_fn).loss.backward()
    expected = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    run = lambda: outcome(model, batch, loss_fn).loss
    cut_of = cuts(model, run, dict(model.named_parameters()))
    assert set(cut_of) == expected and constant_derivatives(model, run) == []
    frozen = name == "DQN"  # its target network, in which the detach is, too
    assert {cut.operation for cut in cut_of.values()} == {"frozen" if frozen else "detach" for _ in cut_of}
    assert bool(cut_of) == (frozen or mutation == "detach")


def test_of_several_ways_the_last_that_reaches_the_loss_is_the_cut():
    def between(h):
        indices = h.argmax(1)
        log = h.detach()
        h = torch.relu(h)
        detached = h.detach() * 2
        log.sum().item(), h.max().item()
        return detached + F.one_hot(indices, 6)

    cut = found(Net(between))["first.weight"]
    assert cut.operation == "detach" and cut.line.endswith("detached = h.detach() * 2")


def test_nothing_of_the_model_is_changed_and_no_graph_is_kept():
    import gc
    import weakref

    class Token:
        pass

    class Holding(torch.autograd.Function):
        @staticmethod
        def forward(ctx, h):
            ctx.token = Token()
            alive.append(weakref.ref(ctx.token))
            return h * 1

        @staticmethod
        def backward(ctx, dh):
            return dh

    alive = []
    model = Net(lambda h: Holding.apply(h).detach())
    run, names = problem(model)
    before = list(model.__dict__), {name: p.clone() for name, p in model.named_parameters()}
    hooks = dict(nn.modules.module._global_forward_pre_hooks)
    assert list(cuts(model, run, names)) == FIRST
    gc.collect()
    assert len(alive) == 2 and alive[-1]() is None
    assert list(model.__dict__) == before[0] and dict(nn.modules.module._global_forward_pre_hooks) == hooks
    assert all(
        torch.equal(p, before[1][name]) and p.grad is None for name, p in model.named_parameters() if name in FIRST
    )
    with pytest.raises(ZeroDivisionError):
        cuts(model, lambda: 1 / 0, names)
    assert dict(nn.modules.module._global_forward_pre_hooks) == hooks
    assert not torch.overrides.is_tensor_method_or_property(run) and torch.ones(1).sum() == 1


def test_names_in_a_wrapper_for_distributed_training_have_no_prefix():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return self.module(x)

    model = Wrapper(Net(KINDS["argmax"]))
    run, names = problem(model)
    assert names == [f"module.{name}" for name in FIRST]
    cut_of = cuts(model, run, FIRST)
    assert list(cut_of) == FIRST
    assert {cut.module for cut in cut_of.values()} == {"Net"}
