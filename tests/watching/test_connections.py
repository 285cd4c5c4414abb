import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from watched import row
from zoo import logits, mlp, problem

from vgexp.watching.checkup import diagnose
from vgexp.watching.connections import behind

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


def loss(output, target):
    return F.cross_entropy(logits(output), target)


def found(name):
    model, batch = problem(name)
    return diagnose(model, batch, loss).findings


def test_not_a_number_names_who_made_it():
    assert found("nan weight")[0].layers == ["6"]
    assert found("nan in the middle")[0].layers == ["1"]
    assert "log in 1" in found("nan in the middle")[0].evidence
    backward = found("nan backward")[0]
    assert backward.layers == ["1"] and "backward: the derivative of sqrt" in backward.evidence
    torch.manual_seed(0)
    model = mlp(3, 16, nn.Tanh)
    x, y = torch.randn(8, 16), torch.randint(10, (8,))
    assert diagnose(model, (x * math.nan, y), F.cross_entropy).findings[0].layers == ["inputs"]
    assert diagnose(model, (x, y), lambda o, t: (o.sum() * 0).log()).findings[0].layers == ["loss"]


def test_dead_layers_are_named():
    """Where all units are off, nothing comes back to what is below, and what is above has nothing to weight."""
    assert found("dead relu")[0].layers == [str(i) for i in range(0, 18, 2)]
    torch.manual_seed(0)
    model = mlp(4, 16, nn.ReLU)
    nn.init.zeros_(model[4].weight)
    nn.init.ones_(model[4].bias)
    closed = diagnose(model, (torch.randn(8, 16), torch.randint(10, (8,))), F.cross_entropy).findings[0]
    assert closed.layers == ["0", "2"] and "4.weight is 0 and shuts them off" in closed.remedy


def test_a_way_around_is_behind_what_is_dead():
    """Called twice, a network's first call runs before the second's layers, and is not behind them."""
    first, second = [row(0, 1.0, 1, [1]), row(1, 1.0, 0)], [row(2, 0.0, 1, [3]), row(3, 1.0, 0)]
    assert behind(second[:1], [*first, *second]) == []
    assert behind(second[1:], [*first, *second]) == second[:1]


class Critic(nn.Module):
    """A dead chain that is called twice."""

    def __init__(self):
        super().__init__()
        self.net = mlp(4, 16, nn.Tanh, inputs=16, classes=1)
        nn.init.zeros_(self.net[4].weight)

    def forward(self, x):
        return self.net(x) + self.net(0.5 * x + 1)


def test_a_dead_chain_that_is_called_twice_is_dead():
    torch.manual_seed(0)
    critic = Critic()
    finding = diagnose(critic, (torch.randn(8, 16), torch.randn(8, 1)), F.mse_loss).findings[0]
    assert finding.kind == "dead" and finding.layers == ["net.0", "net.2"] and "net.4.weight is 0" in finding.remedy


@pytest.mark.parametrize(
    ("shut", "operation", "advice"),
    [
        (lambda h: torch.relu(h - 1e3), "Relu", "softplus"),
        (lambda h: torch.softmax(1e6 * h, -1), "Softmax", "scale the inputs"),
        (torch.round, "Round", "straight through"),
        (lambda h: h.clamp(5e3, 6e3), "Clamp", "widen it"),
    ],
)
def test_the_operation_that_shuts_a_network_off_is_named(shut, operation, advice):
    class Shut(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp(2, 16, nn.Tanh, inputs=16, classes=4)

        def forward(self, x):
            return shut(self.net(x))

    torch.manual_seed(0)
    finding = diagnose(Shut(), (torch.randn(8, 16), torch.randn(8, 4)), F.mse_loss).findings[0]
    assert finding.kind == "dead" and finding.evidence.endswith(f"it becomes 0 at {operation}")
    assert advice in finding.remedy


def test_a_loss_without_a_graph_is_disconnected():
    torch.manual_seed(0)
    model = mlp(2, 16, nn.Tanh, inputs=16, classes=4)
    x, y = torch.randn(8, 16), torch.randint(4, (8,))
    for lost in (lambda o, t: (o.argmax(1) == t).float().mean(), lambda o, t: F.cross_entropy(o.detach(), t)):
        (finding,) = diagnose(model, (x, y), lost).findings
        assert finding.kind == "disconnected" and len(finding.layers) == 6
        assert "cut off at" in finding.evidence and "test_connections.py" in finding.evidence
    blind = torch.no_grad()(model.forward)
    model.forward = blind
    (finding,) = diagnose(model, (x, y), F.cross_entropy).findings
    assert finding.kind == "disconnected" and "no_grad" in finding.evidence
