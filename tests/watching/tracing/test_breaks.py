import math
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint
from zoo import Residual, mlp

from vgexp.watching.tracing.breaks import first_break

INF, NAN = float("inf"), float("nan")


class Odd(nn.Module):
    """A function as a module."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def forward(self, h):
        return self.act(h)


class Functional(nn.Module):
    """The same network without modules."""

    def __init__(self, act):
        super().__init__()
        self.below, self.above = nn.Parameter(torch.randn(6, 4) / 2), nn.Parameter(torch.randn(2, 6) / 2)
        self.act = act

    def forward(self, x):
        return F.linear(self.act(F.linear(x, self.below)), self.above)


class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, dx):
        return dx / 0


def hidden(h, broken):
    """`broken` where no entry is."""
    return torch.where(torch.zeros_like(h, dtype=torch.bool), broken, h)


def all_masked(h):
    return torch.ones_like(h, dtype=torch.bool)


FORWARD = {
    "log of 0": (lambda h: (h * 0).log(), "log", "inf"),
    "log of negative": (lambda h: (-h.abs() - 1).log(), "log", "nan"),
    "log in place": (lambda h: h.mul(0).log_(), "log", "inf"),
    "log1p": (lambda h: (h * 0 - 1).log1p(), "log1p", "inf"),
    "log of softmax": (lambda h: (h * 1e4).softmax(-1).log(), "log", "inf"),
    "logit of 1": (lambda h: (h * 0 + 1).logit(), "logit", "inf"),
    "root of negative": (lambda h: (-h.abs() - 1).sqrt(), "sqrt", "nan"),
    "rsqrt": (lambda h: (h * 0).rsqrt(), "rsqrt", "inf"),
    "0/0": (lambda h: (h * 0) / (h * 0), "div", "nan"),
    "1/0": (lambda h: 1 / (h * 0), "reciprocal", "inf"),
    "h/0": (lambda h: h / 0, "div", "inf"),
    "fmod": (lambda h: h.fmod(h * 0), "fmod", "nan"),
    "norm of 0 as divisor": (lambda h: h * 0 / (h * 0).norm(), "div", "nan"),
    "exp": (lambda h: (h * 0 + 1e3).exp(), "exp", "inf"),
    "inf - inf": (lambda h: (h * 0 + 1e3).exp() - (h * 0 + 1e3).exp(), "exp", "inf"),
    "0 * inf": (lambda h: (h * 0 + 1e3).exp() * 0, "exp", "inf"),
    "sinh": (lambda h: (h * 0 + 1e3).sinh(), "sinh", "inf"),
    "softmax of a masked row": (lambda h: h.masked_fill(all_masked(h), -INF).softmax(-1), "softmax", "nan"),
    "softmax of an added mask": (lambda h: (h + torch.full_like(h, -INF)).softmax(-1), "softmax", "nan"),
    "softmax of a chosen mask": (lambda h: torch.where(all_masked(h), -INF, h).softmax(-1), "softmax", "nan"),
    "log_softmax": (lambda h: h.masked_fill(all_masked(h), -INF).log_softmax(-1), "log_softmax", "nan"),
    "softmax of overflow": (lambda h: (h * 0 + 1e3).exp().softmax(-1), "exp", "inf"),
    "atanh": (lambda h: (h * 0 + 1).atanh(), "atanh", "inf"),
    "acos": (lambda h: (h * 0 + 1.5).acos(), "acos", "nan"),
    "acosh": (lambda h: (h * 0).acosh(), "acosh", "nan"),
    "pow of negative": (lambda h: (-h.abs() - 1) ** 0.3, "pow", "nan"),
    "negative pow": (lambda h: (h * 0) ** -1.5, "pow", "inf"),
    "mean of nothing": (lambda h: h + h[h > 1e9].mean(), "mean", "nan"),
    "layer norm": (lambda h: F.layer_norm(h * 0 + 1, (6,), eps=0.0), "layer_norm", "nan"),
    "squares": (lambda h: (h * 0 + 1e30) ** 2, "pow", "inf"),
    "complex": (lambda h: (torch.complex(h, h) / 0).abs(), "div", "inf"),
    "an infinite number": (lambda h: h * (h[:1, :1] * 0).log().item(), "log", "inf"),
    "a mask by a product": (lambda h: h + (h > 0) * -INF, "mul", "nan"),
    "part of a buffer": (lambda h: h.clone().index_copy_(0, torch.tensor([0]), (h[:1] * 0).log()), "log", "inf"),
    "a hidden one before": (lambda h: hidden(h, (h * 0).log()) + (h * 0).rsqrt(), "rsqrt", "inf"),
}
BACKWARD = {
    "root of 0": (lambda h: (h * 0).sqrt(), "sqrt", "inf"),
    "pow": (lambda h: (h * 0) ** 0.3, "pow", "inf"),
    "norm by hand": (lambda h: h + ((h * 0) ** 2).sum(-1, keepdim=True).sqrt(), "sqrt", "inf"),
    "acos of 1": (lambda h: (h * 0 + 1).acos(), "acos", "inf"),
    "asin of -1": (lambda h: (h * 0 - 1).asin(), "asin", "inf"),
    "acosh of 1": (lambda h: (h * 0 + 1).acosh(), "acosh", "inf"),
    "hypot": (lambda h: torch.hypot(h * 0, h * 0), "hypot", "nan"),
    "exp not taken": (lambda h: hidden(h, (h * 0 + 1e3).exp()), "exp", "inf"),
    "log not taken": (lambda h: hidden(h, (h * 0).log()), "log", "nan"),
    "division not taken": (lambda h: hidden(h, h / (h * 0)), "div", "inf"),
    "root not taken": (lambda h: hidden(h, (h * 0).sqrt()), "sqrt", "nan"),
    "atanh not taken": (lambda h: hidden(h, (h * 0 + 1).atanh()), "atanh", "nan"),
    "root in place": (lambda h: h.mul(0).sqrt_(), "sqrt", "inf"),
    "reentrant checkpoint": (lambda h: checkpoint(lambda h: (h * 0).sqrt(), h, use_reentrant=True), "sqrt", "inf"),
    "checkpoint": (lambda h: checkpoint(lambda h: (h * 0).sqrt(), h, use_reentrant=False), "sqrt", "inf"),
    "eigenvalues": (lambda h: h + torch.linalg.eigh(torch.eye(6) + 0 * h[0]).eigenvectors[0], "eigh", "nan"),
}


def network(act, style):
    torch.manual_seed(0)
    return Functional(act) if style == "functional" else nn.Sequential(nn.Linear(4, 6), Odd(act), nn.Linear(6, 2))


def problem(act, style):
    model = network(act, style)
    x, y = torch.randn(8, 4), torch.randn(8, 2)
    return model, lambda: F.mse_loss(model(x), y)


WIDE = {"squares", "complex", "eigenvalues", "a mask by a product"}
"""Kinds that there are not in float16."""
KINDS = [
    (kind, dtype)
    for kind, dtype in product([*FORWARD, *BACKWARD], ["float32", "float16"])
    if dtype == "float32" or kind not in WIDE
]


@pytest.mark.parametrize("style", ["modules", "functional"])
@pytest.mark.parametrize(("kind", "dtype"), KINDS)
def test_the_operation_is_named(kind, dtype, style):
    act, operation, made = (FORWARD | BACKWARD)[kind]
    found = first_break(*problem(act if dtype == "float32" else lambda h: act(h.half()).float(), style))
    assert found is not None
    assert found.direction == ("forward" if kind in FORWARD else "backward")
    assert (found.operation, found.made) == (operation, made)
    assert found.module == ("1" if style == "modules" else "Functional")
    assert found.line.partition(": ")[0].endswith(f"{Path(__file__).name}:{act.__code__.co_firstlineno}")
    assert found.dtype == ("complex64" if kind == "complex" else dtype)
    assert operation in found.evidence and made in found.evidence and found.advice


@pytest.mark.parametrize(
    ("loss_fn", "operation", "made"),
    [
        (lambda h: F.nll_loss(h.softmax(-1).mul(0).log(), torch.zeros(8, dtype=torch.long)), "log", "inf"),
        (lambda h: F.cross_entropy(h, torch.full((8,), -100)), "nll_loss", "nan"),
        (lambda h: (h * 0).norm(dim=1).div((h * 0).norm(dim=1)).mean(), "div", "nan"),
        (lambda h: F.normalize(h * 0, eps=0.0).sum(), "div", "nan"),
        (lambda h: F.ctc_loss(h[:, None], torch.ones(1, 9), torch.tensor([8]), torch.tensor([9])), "ctc_loss", "inf"),
    ],
)
def test_in_the_loss_no_module_is_named(loss_fn, operation, made):
    model, x = mlp(1, 4, nn.Tanh), torch.randn(8, 4)
    found = first_break(model, lambda: loss_fn(model(x)))
    assert found is not None
    assert (found.direction, found.operation, found.made, found.module) == ("forward", operation, made, "")


HALF = {
    "cast": (lambda h: (h * 0 + 1e5).half().float(), "cast", "forward", "float16"),
    "matmul": (
        lambda h: ((h * 0 + 300).half() @ (torch.ones(6, 6) * 300).half()).float(),
        "matmul",
        "forward",
        "float16",
    ),
    "exp": (lambda h: (h * 0 + 12).half().exp().float(), "exp", "forward", "float16"),
    "squares": (lambda h: (h * 0 + 300).half().square().float(), "pow", "forward", "float16"),
    "derivative": (lambda h: (h.half() * 1e-4 * 1e-4 * 3e4 * 3e4).float(), "mul", "backward", "float16"),
    "root": (lambda h: (h * 0).half().sqrt().float(), "sqrt", "backward", "float16"),
    "eps": (lambda h: h / ((h * 0).half() + 1e-8).float(), "div", "forward", "float32"),
    "bfloat16": (lambda h: (h * 0 + 3.4e38).bfloat16().float(), "cast", "forward", "bfloat16"),
}


@pytest.mark.parametrize(("act", "operation", "direction", "dtype"), HALF.values(), ids=HALF)
def test_low_precision(act, operation, direction, dtype):
    model, run = problem(act, "modules")
    found = first_break(model, run)
    assert found is not None
    assert (found.operation, found.direction, found.module, found.dtype) == (operation, direction, "1", dtype)
    assert ("65504 is the largest number" in found.advice) == (dtype == "float16" and operation != "sqrt")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast(dtype):
    torch.manual_seed(0)
    model, x = mlp(2, 16, nn.ReLU), torch.full((4, 16), 3e4)
    with torch.no_grad():
        model[2].weight.fill_(2.0)

    def run():
        with torch.autocast("cpu", dtype):
            return model(x).float().sum()

    found = first_break(model, run)
    if dtype is torch.bfloat16:
        assert found is None
    else:
        assert found is not None
        assert (found.operation, found.module, found.dtype, found.made) == ("matmul", "2", "float16", "inf")
        assert "bfloat16 or float32 there" in found.advice


def test_weight_gradients_alone():
    model, x = nn.Linear(4, 4).half(), torch.full((64, 4), 3e4).half()
    found = first_break(model, lambda: (model(x) * 1e-3).float().sum() * 64)
    assert found is not None
    assert (found.direction, found.operation, found.module, found.made) == (
        "weight gradient",
        "matmul",
        "Linear",
        "inf",
    )


def test_a_function_of_ones_own():
    model, run = problem(Wrong.apply, "modules")
    found = first_break(model, run)
    assert found is not None
    assert (found.direction, found.operation, found.module, found.made) == ("backward", "div", "1", "inf")
    assert found.line.endswith("return dx / 0")


def test_an_inner_gradient():
    model = mlp(2, 4, nn.Tanh)

    def run():
        x = torch.zeros(3, 4, requires_grad=True)
        (dx,) = torch.autograd.grad((x.abs() ** 0.5 + model(x).sum()).sum(), x, create_graph=True)
        return dx.square().sum()

    found = first_break(model, run)
    assert found is not None
    assert (found.direction, found.operation) == ("backward", "pow")
    assert "x.abs() ** 0.5" in found.line


@pytest.mark.parametrize("value", [INF, NAN])
def test_weights_come_first(value):
    model, run = problem(lambda h: (h * 0).log(), "modules")
    with torch.no_grad():
        model[2].weight[0, 1] = value
    found = first_break(model, run)
    assert found is not None
    assert (found.direction, found.operation, found.module, found.line) == ("weights", "", "2", "")
    assert found.made == ("nan" if value != value else "inf") and "2.weight has" in found.evidence


def test_running_statistics_count_where_they_are_read():
    model, x = mlp(2, 4, nn.ReLU, norm=nn.BatchNorm1d), torch.randn(8, 4)
    model[1].running_var.fill_(NAN)
    assert first_break(model, lambda: model(x).sum()) is None
    found = first_break(model.eval(), lambda: model(x).sum())
    assert found is not None
    assert (found.direction, found.module) == ("weights", "1") and "reset_running_stats" in found.advice
    model.train()
    found = first_break(model, lambda: model(x.log()).sum())
    assert found is not None and found.operation == "log"


@pytest.mark.parametrize("value", [INF, NAN])
def test_inputs(value):
    model, x = mlp(2, 4, nn.ReLU), torch.randn(8, 4)
    x[3, 2] = value
    found = first_break(model, lambda: model(x).sum())
    assert found is not None
    assert (found.direction, found.operation, found.module) == ("input", "", "")


@pytest.mark.parametrize(
    ("made", "operation", "module"),
    [("make", "weight_norm", "2.parametrizations.weight.0"), ("make_old", "weight_norm", "2")],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_the_weight_norm_of_zeros(made, operation, module):
    last = nn.Linear(4, 3)
    nn.init.zeros_(last.weight)
    last = weight_norm(last) if made == "make" else nn.utils.weight_norm(last)
    model, x = nn.Sequential(weight_norm(nn.Linear(4, 4)), nn.ReLU(), last), torch.randn(8, 4)
    found = first_break(model, lambda: model(x).sum())
    assert found is not None
    assert (found.direction, found.operation, found.module, found.made) == ("forward", operation, module, "nan")


class Masked(nn.Module):
    """Attention under a causal mask of infinities, by hand."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.register_buffer("mask", torch.full((5, 5), -INF).triu(1))

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q @ k.transpose(-1, -2) + self.mask).softmax(-1) @ v


class Log(nn.Module):
    """A logarithm that a mask throws away, with an inner mask, as it should be."""

    def forward(self, x):
        kept = x > 0
        return torch.where(kept, torch.where(kept, x, 1).log(), 0)


class Thrown(nn.Module):
    """A root whose infinite derivative a mask throws away."""

    def forward(self, x):
        return torch.where(x > 0, x, 0).sqrt().detach() + x


SOUND = {
    "mlp": lambda: (mlp(3, 8, nn.Tanh), (4, 8)),
    "batch norm": lambda: (mlp(3, 8, nn.ReLU, norm=nn.BatchNorm1d), (4, 8)),
    "residual": lambda: (Residual(3, 8), (4, 8)),
    "dropout": lambda: (nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2)), (4, 8)),
    "convolution": lambda: (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)), (2, 3, 8, 8)),
    "lstm": lambda: (nn.LSTM(8, 4), (5, 2, 8)),
    "causal mask": lambda: (Masked(), (2, 5, 8)),
    "attention": lambda: (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    "inner mask": lambda: (nn.Sequential(nn.Linear(8, 8), Log(), nn.Linear(8, 2)), (4, 8)),
    "thrown away": lambda: (nn.Sequential(nn.Linear(8, 8), Thrown(), nn.Linear(8, 2)), (4, 8)),
    "complex": lambda: (nn.Linear(8, 8, dtype=torch.complex64), (4, 8)),
    "weight norm": lambda: (weight_norm(nn.Linear(8, 8)), (4, 8)),
}


@pytest.mark.parametrize("made", SOUND.values(), ids=SOUND)
def test_sound_networks_have_none(made):
    torch.manual_seed(0)
    model, shape = made()
    x = torch.randn(shape, dtype=next(model.parameters()).dtype)

    def run():
        output = model(x)
        return (output[0] if isinstance(output, tuple) else output).abs().mean()

    assert first_break(model, run) is None


def test_the_model_is_left_as_it_was():
    torch.manual_seed(0)
    model = mlp(2, 4, nn.ReLU, norm=nn.BatchNorm1d).insert(2, nn.Dropout(0.5)).append(Odd(torch.log)).eval()
    model[0].train()
    x = torch.randn(8, 4)
    model[0](x).sum().backward()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [(p, p.grad) for p in model.parameters()]
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert first_break(model, lambda: model(x).sum()) is not None
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is gradient for p, gradient in gradients)
    assert modes == [module.training for module in model.modules()]


def test_a_loss_without_a_graph():
    model, x = nn.Linear(2, 2), torch.ones(1, 2)
    assert first_break(model, lambda: model(x).detach().sum()) is None


def clamped(h, least, most=None):
    return h.clamp(least, most)


MENDED = {
    "log of 0": lambda h: clamped(h * 0, 1e-6).log(),
    "log of softmax": lambda h: (h * 1e6).log_softmax(-1),
    "root of negative": lambda h: (clamped(-h.abs() - 1, 0) + 1e-6).sqrt(),
    "root of 0": lambda h: (h * 0 + 1e-6).sqrt(),
    "rsqrt": lambda h: (h * 0 + 1e-6).rsqrt(),
    "h/0": lambda h: h / (h * 0 + 1e-3),
    "exp": lambda h: clamped(h * 0 + 1e3, None, 10).exp(),
    "exp not taken": lambda h: hidden(h, torch.where(h > 1e9, h * 0 + 1e3, 0).exp()),
    "atanh": lambda h: clamped(h * 0 + 1, -0.9999995, 0.9999995).atanh(),
    "acos": lambda h: clamped(h * 0 + 1.5, -0.9999995, 0.9999995).acos(),
    "acosh": lambda h: clamped(h * 0, 1.001).acosh(),
    "pow": lambda h: (h * 0 + 1e-6) ** 0.3,
    "negative pow": lambda h: (h * 0 + 1e-3) ** -1.5,
    "softmax of a masked row": lambda h: h.masked_fill(all_masked(h), -1e9).softmax(-1),
    "softmax with one key": lambda h: h.masked_fill(torch.arange(6) > 0, -INF).softmax(-1),
    "layer norm": lambda h: F.layer_norm(h * 0 + 1, (6,), eps=1e-5),
    "hypot": lambda h: ((h * 0) ** 2 + (h * 0) ** 2 + 1e-12).sqrt(),
}


@pytest.mark.parametrize("act", MENDED.values(), ids=MENDED)
def test_what_the_advice_says_mends_it(act):
    assert first_break(*problem(act, "modules")) is None


class Sampled(nn.Module):
    """A policy whose last layer takes what `spoil` makes of the first one's output."""

    def __init__(self, spoil):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.spoil = nn.Linear(4, 6), nn.Linear(6, 3), spoil

    def forward(self, x):
        return self.last(self.spoil(self.first(x)))


def asserted(output):
    assert torch.isfinite(output).all(), "it diverged"
    return output.sum()


def stopped(output):
    if math.isnan(output.sum().item()):
        raise SystemError("the loss is NaN")
    return output.sum()


def watched_backward(output):
    root = (output * 0).sqrt()
    output.register_hook(lambda dz: asserted(dz) * 0 + dz)
    return root.sum()


RAISING = {  # torch.distributions are asked to validate: Lightning, where it is imported, tells them not to
    "logits": lambda o: -torch.distributions.Categorical(logits=o, validate_args=True).log_prob(torch.zeros(5)).mean(),
    "scale": lambda o: -torch.distributions.Normal(0.0, o.exp(), validate_args=True).log_prob(torch.zeros(5, 3)).mean(),
    "asserted": asserted,
    "stopped": stopped,
    "drawn": lambda o: torch.multinomial(o.softmax(1), 1).sum() * o.sum(),
    "cholesky": lambda o: torch.linalg.cholesky(o.T @ o + torch.eye(3)).sum(),
}


@pytest.mark.parametrize("kind", RAISING)
def test_an_error_because_of_a_nan_is_that_of_the_operation_that_made_it(kind):
    model, x = Sampled(lambda h: (h - 9).sqrt()), torch.randn(5, 4)
    with pytest.raises((ValueError, AssertionError, SystemError, RuntimeError)):
        RAISING[kind](model(x))
    found = first_break(model, lambda: RAISING[kind](model(x)))
    assert found is not None and (found.direction, found.operation, found.module) == ("forward", "sqrt", "Sampled")
    assert "; then comes " in found.evidence


def test_an_index_out_of_range_that_was_a_nan_is_one_too():
    model, x = Sampled(lambda h: (h - 9).sqrt()), torch.randn(5, 4)
    found = first_break(model, lambda: (torch.ones(9)[model(x).sum(1).long()] * model(x).sum()).sum())
    assert found is not None and found.operation == "sqrt" and "IndexError" in found.evidence


def test_an_error_in_the_backward_pass_and_one_by_the_weights():
    model, x = Sampled(torch.tanh), torch.randn(5, 4)
    found = first_break(model, lambda: watched_backward(model(x)))
    assert found is not None and (found.direction, found.operation) == ("backward", "sqrt")
    model.last.weight.data[0, 0] = NAN
    found = first_break(model, lambda: asserted(model(x)))
    assert found is not None and (found.direction, found.module) == ("weights", "last")


@pytest.mark.parametrize("spoil", [torch.tanh, lambda h: (h - 9).sqrt()])
def test_an_error_for_another_reason_is_raised(spoil):
    model, x = Sampled(spoil), torch.randn(5, 4)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        first_break(model, lambda: (model(x) @ torch.ones(7, 7)).sum())

    def fail():
        (model(x) * -1e9).masked_fill(torch.ones(5, 3) > 0, -INF)
        raise KeyError("data")

    with pytest.raises(KeyError, match="data"):
        first_break(model, fail)
