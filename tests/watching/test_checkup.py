import math
import subprocess
import sys
from contextlib import nullcontext
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import mlp

from vgexp.config import ConfigError
from vgexp.watching.checkup import diagnose, random_projection
from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.monitor import watch


def problem():
    torch.manual_seed(0)
    model = mlp(6, 16, nn.ReLU, norm=nn.BatchNorm1d).insert(2, nn.Dropout(0.5))
    return model, (torch.randn(32, 16), torch.randint(10, (32,)))


def test_the_model_is_left_as_it_was():
    model, batch = problem()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [(parameter, parameter.grad, parameter.grad.clone()) for parameter in model.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    diagnose(model, batch, F.cross_entropy)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is gradient and torch.equal(gradient, before) for p, gradient, before in gradients)
    assert not any(module._forward_hooks for module in model.modules())


def test_also_when_it_raises():
    model, (x, _) = problem()
    before = model[1].running_mean.clone()
    with pytest.raises(ValueError, match="batch_size"):
        diagnose(model, (x, torch.zeros(7, dtype=torch.long)), F.cross_entropy)
    assert torch.equal(model[1].running_mean, before)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_error_because_of_a_nan_is_a_diagnosis():
    model, (x, _) = problem()
    model[0].weight.data[0, 0] = float("nan")
    normal = torch.distributions.Normal
    loss_fn = lambda output, _: -normal(output, 1.0, validate_args=True).log_prob(torch.zeros(10)).mean()
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        loss_fn(model(x), None)
    diagnosis = diagnose(model, (x, None), loss_fn)
    assert diagnosis.verdict == "nan" and diagnosis.findings[0].layers == ["0"]
    assert "then comes ValueError" in str(diagnosis)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_mode_is_kept():
    model, batch = problem()
    assert not diagnose(model.eval(), batch, F.cross_entropy).findings or not model.training
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("seed", range(8))
def test_what_broke_by_chance_is_found_again(seed):
    """The second pass draws the random numbers of the first."""
    model, (x, y) = problem()

    def loss_fn(output, y):
        return F.cross_entropy(output, y) * (torch.rand(()) - 0.5).sqrt()

    torch.manual_seed(seed)
    expected = "healthy" if model(x).numel() and torch.rand(()) > 0.5 else "nan"
    torch.manual_seed(seed)
    diagnosis = diagnose(model, (x, y), loss_fn)
    assert (diagnosis.verdict == "nan") == (expected == "nan")
    assert expected != "nan" or "sqrt" in diagnosis.findings[0].evidence


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_hugging_face_model_gives_its_layers():
    from transformers import BertConfig, BertForSequenceClassification

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
        "undecided",
    )


ODD = """
import sys
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
import vgexp


class Wrapper(Tensor):  # has no entries of its own, as tensors of quantization and of distributed training
    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args, kwargs = tree_map_only(Wrapper, lambda wrapper: wrapper.inner, (args, kwargs or {}))
        return tree_map_only(Tensor, Wrapper, func(*args, **kwargs))


class Odd(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, forward, backward):
        ctx.backward = backward
        return forward(x)

    @staticmethod
    def backward(ctx, dx):
        return ctx.backward(dx), None, None


def zero(dx):
    return torch._efficientzerotensor(dx.shape)


class Model(nn.Module):
    def __init__(self, forward, backward):
        super().__init__()
        self.below = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh())
        self.above, self.odd = nn.Linear(4, 2), (forward, backward)

    def forward(self, x):
        return self.above(Odd.apply(self.below(x), *self.odd))


torch.manual_seed(0)
for odd in ((Tensor.clone, Wrapper), (Tensor.clone, zero)):
    print(vgexp.diagnose(Model(*odd), (torch.ones(3, 4), None), lambda output, target: output.sum()).verdict)
wrapped = Wrapper(torch.ones(3, 4))
plain = Model(Tensor.clone, Tensor.clone)
print(vgexp.diagnose(plain.below, (wrapped, None), lambda output, target: output.sum()).verdict)
"""


def test_tensors_without_entries_of_their_own_get_a_verdict():
    """In a process of its own: to read memory that they do not have would end it."""
    done = subprocess.run([sys.executable, "-c", ODD], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["healthy", "dead", "healthy"]), done.stderr[-2000:]


@pytest.mark.parametrize("make", [nn.EmbeddingBag, nn.Embedding])
@pytest.mark.parametrize(("fault", "verdict"), [(1.0, "healthy"), (0.0, "dead"), (float("nan"), "nan")])
def test_sparse_gradients(make, fault, verdict):
    torch.manual_seed(0)
    table = make(50, 16, sparse=True)
    model = nn.Sequential(table, nn.Flatten(), nn.Linear(16 if make is nn.EmbeddingBag else 80, 8), nn.Linear(8, 3))
    model[2].weight.data *= fault
    batch = torch.randint(50, (16, 5)), torch.randint(3, (16,))
    assert diagnose(model, batch, F.cross_entropy).verdict == verdict


class Gate(nn.Module):
    """A gate that is shut."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.gate = nn.Linear(4, 4), nn.Linear(4, 2), nn.Parameter(torch.full((4,), -1.0))

    def forward(self, x):
        return self.b(x + self.a(x) * self.gate.relu())


BATCH = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


def test_the_gradients_of_later_passes_are_their_own():
    """Also of a graph that was there before, and of what fills `.grad`, which outlives every graph."""
    model = Gate()
    loss = F.cross_entropy(model(BATCH[0]), BATCH[1])
    assert diagnose(model, BATCH, F.cross_entropy).verdict == "dead"
    loss.backward()
    assert torch.equal(model.gate.grad, torch.zeros(4))


class Takes(nn.Module):
    """A step that changes its batch, without an index, beside a layer that is not used."""

    def __init__(self):
        super().__init__()
        self.a, self.idle = nn.Linear(4, 2), nn.Linear(3, 3)

    def training_step(self, batch):
        labels = batch.pop("labels")
        return F.cross_entropy(self.a(batch["x"].mul_(2)), labels)


def test_the_batch_is_left_as_it_was():
    batch = {"x": BATCH[0].clone(), "labels": BATCH[1]}
    found = diagnose(Takes(), batch)
    assert found.verdict == "disconnected" and "idle" in str(found)
    assert torch.equal(batch["x"], BATCH[0]) and list(batch) == ["x", "labels"]


def test_what_a_model_writes_into_its_input_is_not_taken_for_the_fault():
    class Logs(nn.Linear):
        def forward(self, x):
            x.log_()
            z = super().forward(x)
            return z / (z - z).sum()

    assert "a division by 0" in str(diagnose(Logs(4, 2), (BATCH[0].abs() + 1, BATCH[1]), F.cross_entropy))


@pytest.mark.parametrize("number", range(6))
def test_chance_may_leave_out_all_layers(number):
    class Sometimes(nn.ModuleList):
        def forward(self, x):
            for layer in self:
                x = x + layer(x) if torch.rand(()) < 0.5 else x
            return x

    model = Sometimes([nn.Linear(4, 4), nn.Linear(4, 4)])
    torch.manual_seed(number)
    assert diagnose(model, (BATCH[0], BATCH[0]), F.mse_loss).verdict in ("healthy", "disconnected")


def test_a_remedy_that_the_loss_refuses_is_none():
    def guarded(output, targets):
        assert output.abs().max() < 0.6, "out of range"
        return F.cross_entropy(output, targets)

    model = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(32, 32), nn.ReLU())], nn.Linear(32, 2))
    inputs = torch.randn(8, 32, generator=torch.Generator().manual_seed(0)), BATCH[1]
    [finding] = diagnose(model, inputs, guarded).findings
    assert finding.kind == "vanishing" and [remedy.weights for remedy in finding.remedies] == [{}]


def test_remedies_are_tried_under_autocast_too():
    """Which keeps weights as it has cast them once."""
    torch.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(32, 32), nn.ReLU())], nn.Linear(32, 2))
    with torch.autocast("cpu", torch.bfloat16):
        [finding] = diagnose(model, (torch.randn(8, 32), BATCH[1]), F.cross_entropy).findings
    assert "tried on this batch: healthy" in str(finding.remedies[0])


def test_an_output_that_is_seen_from_elsewhere():
    """The tensor that counts is the second of two that share memory, of a shape that is no view of the first's."""

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 3, 3, 3) / 10)

        def forward(self, x):
            h = F.conv2d(x, self.weight)
            return h.flatten(1), h

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.both, self.last = Both(), nn.Linear(5, 2)

        def forward(self, x):
            return self.last(self.both(x)[1].permute(0, 2, 3, 1)).mean((1, 2))

    assert diagnose(Model(), (torch.randn(8, 3, 6, 6), BATCH[1]), F.cross_entropy).verdict == "healthy"


@pytest.mark.parametrize(
    ("batch", "loss_fn", "message"),
    [
        (BATCH, "mse", "loss_fn: got 'mse', accepts a function of outputs and targets"),
        (torch.utils.data.DataLoader([1]), F.cross_entropy, "batch: got a DataLoader, accepts one of its batches"),
    ],
)
def test_what_is_no_batch_or_loss(batch, loss_fn, message):
    with pytest.raises(ValueError, match=message):
        diagnose(nn.Linear(4, 2), batch, loss_fn)


def test_lazy_modules_need_a_batch_first():
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    with pytest.raises(Unsupported, match=r"0 \(LazyLinear\) has no weights yet, .*: call the model on a batch first"):
        diagnose(model, BATCH, F.cross_entropy)
    model(BATCH[0])
    assert diagnose(model, BATCH, F.cross_entropy).verdict == "healthy"


@pytest.mark.parametrize(("output", "wrong"), [(lambda x: x.argmax(1), True), (lambda x: x.sum(), False)])
def test_a_projection_of_odd_outputs(output, wrong):
    with pytest.raises(ConfigError, match="an output with a tensor of floating-point") if wrong else nullcontext():
        assert random_projection(output(torch.ones(3, 2)), None).ndim == 0


class Head(nn.Module):
    """A loss with weights, a norm that counts batches, a mean that moves, and a tensor that it keeps."""

    def __init__(self):
        super().__init__()
        self.last, self.norm, self.seen = nn.Linear(2, 2), nn.BatchNorm1d(2), None
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, output, y):
        self.mean = 0.9 * self.mean + output.detach().mean(0)
        self.seen = output
        return F.cross_entropy(self.last(self.norm(output)), y)

    def weighted(self, output, y, weight=2.0):
        return weight * self(output, y)


@pytest.mark.parametrize("scale", [1.0, math.nan])
@pytest.mark.parametrize(
    "loss_of",
    [lambda head: head, lambda head: partial(head.weighted, weight=3.0), lambda head: head.weighted],
    ids=["module", "partial", "method"],
)
def test_a_loss_that_is_a_module_is_left_as_it_was(loss_of, scale):
    head = Head()
    head.last.bias.grad = kept = torch.ones(2)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    diagnose(nn.Linear(4, 2), (scale * BATCH[0], BATCH[1]), loss_of(head))
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())
    assert head.last.weight.grad is None and head.last.bias.grad is kept and torch.equal(kept, torch.ones(2))
    assert head.seen is None


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_loss_is_taken():
    assert diagnose(nn.Linear(4, 2), BATCH, torch.jit.script(nn.CrossEntropyLoss())).verdict == "healthy"
