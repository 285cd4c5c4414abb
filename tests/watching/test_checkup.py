import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import mlp

from vgexp.watching.checkup import diagnose
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
