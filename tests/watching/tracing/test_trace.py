import random

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vgexp.watching.tracing.trace import Trace, memory, name_of, valued


class Names(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append(name_of(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("do", "name"),
    [
        (lambda x: x.argmax(), "argmax"),
        (lambda x: torch.argmax(x), "argmax"),
        (lambda x: nn.functional.relu(x), "relu"),
        (lambda x: x.data, "data"),
        (lambda x: float(x), "float"),
        (lambda x: x > 0, "gt"),
        (lambda x: x.__array__(), "numpy"),
        (lambda x: x.numpy(), "numpy"),
        (lambda x: x.detach_(), "detach"),
        (lambda x: x.add_(1), "add_"),
    ],
)
def test_operations_are_called_as_people_write_them(do, name):
    with Names() as names:
        do(torch.ones(1))
    assert names.seen[-1] == name


def test_of_some_arguments_an_operation_takes_the_shape_or_the_type_alone():
    assert valued("zeros_like", ("x",), {"dtype": 1}) == ((), {"dtype": 1})
    assert valued("new_tensor", ("x", "values"), {}) == (("values",), {})
    assert valued("expand_as", ("x", "like"), {}) == ("x",)
    assert valued("to", ("x", "like"), {}) == ("x",)
    assert valued("mul", ("x", "y"), {}) == (("x", "y"), {})


def test_views_share_their_memory_and_sparse_tensors_have_none():
    x = torch.ones(3, 2)
    assert memory(x) is memory(x[1].view(-1)) is memory(x.detach()) is not memory(x.clone())
    sparse = x.to_sparse()
    assert memory(sparse) is sparse


class Random(nn.Module):
    """Operations drawn by a seed, some of which cut."""

    def __init__(self, seed):
        super().__init__()
        self.weights, self.seed = nn.ParameterList([torch.rand(3) + 0.5 for _ in range(6)]), seed

    def forward(self):
        draw = random.Random(self.seed)
        values = [weight * 1 for weight in self.weights]
        for _ in range(20):
            a, b = draw.sample(values, 2)
            new = draw.choice(
                [
                    lambda a, b: a + b,
                    lambda a, b: a.detach() * b,
                    lambda a, b: torch.where(a > b, b, b.data),
                    lambda a, b: torch.stack([a, b]).mean(0),
                    lambda a, b: torch.relu(a).clone().add_(b),
                    lambda a, b: b[a.argsort()],
                    lambda a, b: torch.tensor(a.tolist()) + b.sum().item(),
                ]
            )
            values[draw.randrange(len(values))] = new(a, b)
        return values[0].sum()


@pytest.mark.parametrize("seed", range(20))
def test_what_hangs_on_the_graph_is_what_autograd_differentiates(seed):
    model = Random(seed)
    loss, weights = model(), list(model.parameters())
    if loss.requires_grad:
        expected = [d is not None for d in torch.autograd.grad(loss, weights, allow_unused=True)]
    else:
        expected = [False] * len(weights)
    trace = Trace(model, weights)
    upstream, reaching = trace.sources(trace.follow(model))
    assert [bool(upstream & trace.bits[weight]) for weight in weights] == expected
    assert all(bit in trace.reads for bit in trace.bits.values())
    assert reaching < 1 << len(trace.events)


def test_what_does_not_reach_the_loss_may_be_changed():
    """A parameter that neither hangs on the graph nor comes by a cut or by Python does not move the loss."""
    changed = 0
    for seed in range(30):
        model = Random(seed)
        trace = Trace(model, model.parameters())
        loss = trace.follow(model)
        upstream, reaching = trace.sources(loss)
        for weight, bit in trace.bits.items():
            events = [(i, event) for i, event in enumerate(trace.events) if event.parameters & bit]
            if upstream & bit or any(reaching >> i & 1 or event.reader for i, event in events):
                continue
            changed += 1
            with torch.no_grad():
                weight *= 7
        assert torch.equal(model(), loss)
    assert changed > 10
