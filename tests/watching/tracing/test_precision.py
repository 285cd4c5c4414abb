import inspect
import math
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils._pytree import tree_map_only
from watched import batch, mlp

from vgexp.watching.checkup import diagnose
from vgexp.watching.tracing.precision import comparison, in_float64, next_to_zero, profile

HALF = torch.float16


class Act(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.act = act

    def forward(self, h):
        return self.act(h)


class Autocast(nn.Module):
    """A network under autocast, as people write it."""

    def __init__(self, net, dtype=HALF):
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x):
        with torch.autocast("cpu", self.dtype):
            return self.net(x)


def deep(depth=5, width=32):
    """A sound network: He's initialisation, relu."""
    torch.manual_seed(0)
    net = mlp(nn.ReLU, depth, width)
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return net


def scaled(scale):
    return lambda output, y: scale * F.cross_entropy(output.to(torch.promote_types(output.dtype, torch.float32)), y)


def compared(model, data, loss_fn, dtype=HALF, scale=1.0):
    """The comparison, where the loss that low precision has is `scale` times that of float64."""
    low = profile(model, data, lambda output, y: scale * loss_fn(output, y))
    twin = in_float64(model, data, loss_fn)
    assert twin.problem is not None, twin.why
    exact = profile(*twin.problem)
    low = [row | {"norm": row["norm"] / scale} for row in low]
    return comparison(low, exact, dtype), low, exact


def test_the_profile_is_that_of_autograd():
    model, (x, y) = mlp(nn.ReLU, 2, 6).double(), batch(n=7, width=6)
    x = x.double()
    z_0 = model[0](x)
    z_1 = model[2](z_0.relu())
    z_2 = model[4](z_1.relu())
    expected = torch.autograd.grad(F.cross_entropy(z_2, y), [z_0, z_1, z_2])
    rows = profile(model, (x, y), F.cross_entropy)
    assert [(row["name"], row["call"], row["entries"]) for row in rows] == [("0", 0, 42), ("2", 0, 42), ("4", 0, 35)]
    assert [row["norm"] for row in rows] == pytest.approx([dz.norm().item() for dz in expected], rel=1e-12)
    assert [row["zeros"] for row in rows] == pytest.approx([(dz == 0).double().mean().item() for dz in expected])
    assert all(p.grad is None for p in model.parameters()) and not any(m._forward_hooks for m in model.modules())


def test_calls_of_one_layer_are_counted():
    layer = nn.Linear(4, 4)
    rows = profile(nn.Sequential(layer, nn.Tanh(), layer), (torch.ones(2, 4), None), lambda output, _: output.sum())
    assert [(row["name"], row["call"]) for row in rows] == [("0", 0), ("0", 1)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_twin_is_the_same_problem_in_float64(dtype):
    model, (x, y) = mlp(nn.GELU).to(dtype), batch()
    x = x.to(dtype)
    model[0](x).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin = in_float64(model, (x, y), F.cross_entropy)
    assert twin.problem is not None and twin.why == ""
    copy, (x_64, y_64), loss_fn = twin.problem
    assert all(p.dtype is torch.float64 for p in copy.parameters()) and x_64.dtype is torch.float64
    loss = loss_fn(copy(x_64), y_64)
    assert loss.dtype is torch.float64
    reference = mlp(nn.GELU).to(dtype).double()
    assert loss.item() == pytest.approx(F.cross_entropy(reference(x.double()), y).item(), rel=1e-14)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model[0].weight.grad is not None and copy[0].weight.grad is None


def test_tied_weights_buffers_attributes_and_weights_of_the_loss_come_along():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.below, self.norm, self.above = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)
            self.above.weight = self.below.weight
            self.shift, self.kind = torch.full((4,), 0.5), torch.float32

        def forward(self, x):
            return self.above(self.norm(self.below(x.to(self.kind))) @ torch.diag(self.shift))

    model, (x, y) = Own(), batch(width=4, classes=4)
    for loss_fn in (nn.CrossEntropyLoss(torch.ones(4)), partial(F.cross_entropy, weight=torch.ones(4))):
        twin = in_float64(model, (x, y), loss_fn)
        assert twin.problem is not None and twin.why == ""
        copy = twin.problem[0]
        assert copy.above.weight is copy.below.weight and copy.norm.running_mean.dtype is torch.float64
        assert copy.shift.dtype is copy.kind is torch.float64 and model.shift.dtype is torch.float32
    assert torch.equal(model.norm.running_mean, torch.zeros(4))


def test_a_profile_of_float8():
    model, data = nn.Sequential(Coarse(4, 4), Coarse(4, 4)), batch(width=4, classes=4)
    rows = profile(model, data, lambda output, y: F.cross_entropy(output.float(), y))
    assert [row["dtype"] for row in rows] == [torch.float8_e5m2] * 2 and 0 < rows[0]["norm"] < 1


def test_lists_of_recurrent_weights_are_those_of_the_copy():
    twin = in_float64(nn.LSTM(3, 4), (torch.randn(5, 2, 3), None), lambda output, _: output[0].sum())
    assert twin.problem is not None
    (row,) = profile(*twin.problem)
    assert row["dtype"] is torch.float64


def test_complex_numbers_and_float8():
    model = nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64), Act(torch.tanh))
    twin = in_float64(model, (torch.randn(3, 4, dtype=torch.complex64), None), lambda output, _: output.abs().sum())
    assert twin.problem is not None and twin.problem[0][0].weight.dtype is torch.complex128
    twin = in_float64(Few(torch.float8_e4m3fn), batch(width=4, classes=4), F.cross_entropy)
    assert twin.problem is not None and twin.problem[0].weight.dtype is torch.float64


class Few(nn.Module):
    """A layer whose weights have few bits."""

    def __init__(self, dtype):
        super().__init__()
        self.weight = nn.Parameter((4 * torch.randn(4, 4)).to(dtype), requires_grad=False)
        self.scale = nn.Parameter(torch.full((4,), 0.1))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype)) * self.scale


class Wrapper(Tensor):
    """A tensor without entries of its own, such as those of quantization or of distributed training."""

    @staticmethod
    def __new__(cls, inner, requires_grad=False):
        return Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, requires_grad=requires_grad)

    def __init__(self, inner, requires_grad=False):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        args, kwargs = tree_map_only(Wrapper, lambda wrapper: wrapper.inner, (args, kwargs or {}))
        return tree_map_only(Tensor, Wrapper, func(*args, **kwargs))


def wrapped():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[0].weight = nn.Parameter(Wrapper(model[0].weight.detach()))
    return model


class NoCopy(nn.Linear):
    def __deepcopy__(self, memo):
        raise TypeError("this one cannot be copied")


class Closure(nn.Module):
    """A function of the model's own that holds float32 where nobody sees it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        hidden = torch.ones(4, 4)
        self.mix = lambda x: x @ hidden

    def forward(self, x):
        return self.mix(self.layer(x))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: Few(torch.int8), "weight is quantized (int8): there is no float64 of it"),
        (wrapped, "0.weight is a "),
        (lambda: NoCopy(4, 4), "raises TypeError: this one cannot be copied"),
        (Closure, "raises RuntimeError: expected m1 and m2 to have the same dtype"),
        (lambda: nn.Sequential(nn.Linear(4, 4), Act(lambda h: h.half())), "casts to float16"),
    ],
)
def test_what_has_no_twin_says_why(made, why):
    twin = in_float64(made(), batch(width=4, classes=4), scaled(1.0))
    assert twin.problem is None and why in twin.why and "\n" not in twin.why


def test_a_cast_is_named_by_its_line():
    cast = lambda h: h.float().softmax(-1).type_as(h)
    twin = in_float64(nn.Sequential(nn.Linear(4, 4), Act(cast)), batch(width=4, classes=4), F.cross_entropy)
    place = f"{Path(__file__).name}:{inspect.getsourcelines(cast)[1]}: "
    assert twin.problem is not None
    assert place in twin.why and twin.why.endswith("casts to float32")


@pytest.mark.parametrize("scale", [1e-9, 1e-7, 1e-5, 1.0, 2.0**10, 2.0**16])
def test_float16_loses_what_float64_has(scale):
    """Under autocast, without a scaler, at any scale of the loss: where all of a layer's dz is 0, the sentence says so,
    and where nothing is lost there is none. What the comparison finds is seen alone too."""
    model, data = Autocast(deep()), batch(n=64, width=32)
    found, low, exact = compared(model, data, scaled(scale))
    gone = sum(row["norm"] == 0 < twin["norm"] for row, twin in zip(low, exact, strict=True))
    assert {row["dtype"] for row in exact} == {torch.float64}
    assert (gone > 0) == (scale < 1e-6)
    if gone:
        assert found is not None and f"{gone} of 6 layers" in found and "in float64" in found
    if found is not None:
        assert next_to_zero(low) is not None
    if scale >= 1:
        assert found is next_to_zero(low) is None


@pytest.mark.parametrize(("scale", "verb"), [(1.0, "rounds"), (2.0**10, None), (2.0**24, None), (2.0**60, "overflows")])
def test_a_scaled_loss_brings_back_what_is_lost_as_long_as_it_does_not_overflow(scale, verb):
    found, _, _ = compared(Autocast(deep()), batch(n=64, width=32), scaled(1e-7), scale=scale)
    assert (found is None) == (verb is None)
    assert verb is None or verb in str(found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("scale", [1e-30, 1e-9, 1.0, 1e9])
def test_wide_types_lose_nothing(dtype, scale):
    model, (x, y) = deep().to(dtype), batch(n=64, width=32)
    found, low, _ = compared(model, (x.to(dtype), y), scaled(scale), dtype)
    assert found is None and next_to_zero(low) is None


def rows(*norms_and_zeros, dtype=HALF, entries=10**4):
    return [
        {"name": str(i), "call": 0, "norm": norm, "zeros": zeros, "entries": entries, "dtype": dtype}
        for i, (norm, zeros) in enumerate(norms_and_zeros)
    ]


@pytest.mark.parametrize(
    ("low", "exact", "words"),
    [
        (
            rows((0, 1), (1, 0)),
            rows((1e-9, 0), (1, 0)),
            "dz of 1 of 2 layers to 0; in float64 ||dz|| is 1e-09 (0)",
        ),
        (
            rows((0, 1), (0, 1)),
            rows((1e-9, 0), (3e-9, 0)),
            "2 of 2 layers to 0; in float64 ||dz|| is 1e-09 (0) to 3e-09 (1)",
        ),
        (
            rows((math.inf, 0), (1, 0)),
            rows((1e5, 0), (1, 0)),
            "overflows in dz of 1 of 2 layers; in float64 ||dz|| is 1e+05 (0)",
        ),
        (rows((math.nan, 0), (1, 0)), rows((1e5, 0), (1, 0)), "overflows"),
        (
            rows((2e-6, 0.8), (1, 0.5)),
            rows((1e-6, 0.5), (1, 0.5)),
            "part of dz of 1 of 2 layers to 0: at 0 8",
        ),
        (rows((0, 1), (1, 0)), rows((0, 1), (1, 0)), None),
        (rows((2e-6, 0.55), (1, 0.5)), rows((1e-6, 0.5), (1, 0.5)), None),
        (rows((1e-6, 0.8), (1, 0.5)), rows((1e-6, 0.5), (1, 0.5)), None),
        (rows((2e-6, 0.8), *[(1, 0.5)] * 7), rows((1e-6, 0.5), *[(1, 0.5)] * 7), None),
        (rows((1, 0), (1, 0)), rows(), None),
    ],
)
def test_the_comparison(low, exact, words):
    found = comparison(low, exact, HALF)
    assert (found is None) if words is None else (words in str(found))


@pytest.mark.parametrize(
    ("low", "words"),
    [
        (rows((0, 1), (0, 1)), "dz of all 2 layers is exactly 0 in float16, which has no number below 6e-08"),
        (rows((0, 1), (3e-6, 0.8)), "at 1 80% of dz is 0, the rest is 7e-08 (rms); in 1 other layers all of it is 0"),
        (rows((0, 1), (1, 0.5)), None),
        (rows((1e-3, 0.99), (1, 0.5)), None),
        (rows((3e-6, 0.8), *[(1, 0.5)] * 7), None),
        (rows((0, 1), (0, 1), dtype=torch.float32), None),
        ([], None),
    ],
)
def test_what_is_next_to_zero(low, words):
    found = next_to_zero(low)
    assert (found is None) if words is None else (words in str(found))


class Coarse(nn.Linear):
    """A layer that puts out float8."""

    def forward(self, x):
        return super().forward(x.float()).to(torch.float8_e5m2)


KINDS = {
    "float8 weights": lambda: (Few(torch.float8_e5m2), batch(width=4, classes=4), F.cross_entropy),
    "integers": lambda: (Few(torch.int8), batch(width=4, classes=4), F.cross_entropy),
    "float8 activations": lambda: (
        nn.Sequential(nn.Linear(4, 4), Act(lambda h: h.to(torch.float8_e5m2).float()), nn.Linear(4, 4)),
        batch(width=4, classes=4),
        F.cross_entropy,
    ),
    "float8 outputs": lambda: (
        nn.Sequential(Coarse(4, 4), Coarse(4, 4)),
        batch(width=4, classes=4),
        lambda output, y: F.cross_entropy(output.float(), y),
    ),
    "complex": lambda: (
        nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64), Act(torch.tanh), nn.Linear(4, 4, dtype=torch.complex64)),
        (torch.randn(3, 4, dtype=torch.complex64), None),
        lambda output, _: output.abs().square().mean(),
    ),
    "float16": lambda: (deep().half(), (batch(width=32)[0].half(), batch(width=32)[1]), scaled(1.0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_number_is_diagnosed(kind):
    torch.manual_seed(0)
    assert diagnose(*KINDS[kind]()).verdict in ("healthy", "undecided")


class States(nn.Module):
    """The last states of packed sequences, in float16: the sequence itself has no gradient."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.head = nn.GRU(4, 6), nn.Linear(6, 3)
        self.half()

    def forward(self, x):
        packed = pack_padded_sequence(x, torch.tensor([5, 3]))
        return self.head(self.rnn(packed)[1][-1])


def test_a_call_whose_first_output_has_no_gradient_is_left_out():
    batch = torch.randn(5, 2, 4).half(), torch.zeros(2, dtype=torch.long)
    rows = profile(States(), batch, lambda output, y: F.cross_entropy(output.float(), y))
    assert [row["name"] for row in rows] == ["head"]
