"""At which operation a gradient is lost is known, since it was put there."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vgexp.watching.checkup import diagnose


class Between(nn.Module):
    """Two layers, and something between them."""

    def __init__(self, middle, width=32):
        super().__init__()
        torch.manual_seed(0)
        self.below = nn.Sequential(nn.Linear(16, width), nn.BatchNorm1d(width), nn.ReLU())
        self.middle = middle
        self.above = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.last = nn.Linear(width, 4)

    def forward(self, x):
        return self.last(self.above(self.middle(self.below(x))))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def evaluated():
    norm = nn.BatchNorm1d(32, momentum=0.0)
    norm.running_var.fill_(1e10)
    return norm.eval()


CAUSES = {
    "factor": (lambda: Apply(lambda x: 1e-6 * x + 1), "Mul (", "a small number"),
    "divisor": (lambda: Apply(lambda x: x / 1e6 + 1), "Div (", "divides"),
    "tanh": (lambda: Apply(lambda x: torch.tanh(6 * x + 8)), "Tanh in middle", "saturates"),
    "softmax": (lambda: Apply(lambda x: (x + 40 * torch.eye(32)[0]).softmax(1)), "Softmax in middle", "Divide them"),
    "running statistics": (evaluated, "NativeBatchNorm in middle", "running variance"),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cause", CAUSES)
def test_the_operation_at_a_cliff_is_measured_and_its_remedy_comes_first(cause, dtype):
    make, operation, remedy = CAUSES[cause]
    model = Between(make()).to(dtype)
    batch = torch.randn(32, 16, dtype=dtype, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 4
    finding = diagnose(model, batch, F.cross_entropy).findings[0]
    assert finding.kind == "cliff" and finding.layers == ["above.0", "below.0"]
    assert f"at {operation}" in finding.evidence and remedy in finding.remedy
    assert "test_drops.py:" in finding.evidence


ONE_VALUE = {
    "group": nn.GroupNorm(32, 32),
    "group, no gain": nn.GroupNorm(32, 32, affine=False),
    "layer": nn.LayerNorm(1),
    "layer, no gain": nn.LayerNorm(1, elementwise_affine=False),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", ONE_VALUE)
def test_a_norm_over_one_value_is_named_whether_rounding_leaves_a_little_or_nothing(norm, dtype):
    model = Between(nn.Sequential(nn.Unflatten(1, (32, 1)), ONE_VALUE[norm], nn.Flatten())).to(dtype)
    batch = torch.randn(32, 16, dtype=dtype, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 4
    found = diagnose(model, batch, F.cross_entropy).findings
    assert {f.kind for f in found} <= {"cliff", "dead"}
    operation = f"at Native{type(ONE_VALUE[norm]).__name__}"
    assert any(operation in f.evidence and "over one value" in f.remedy for f in found)


def test_small_weights_of_one_layer_are_named_for_its_cliff():
    model = Between(nn.Identity())
    model.last.weight.data.mul_(1e-6)
    batch = torch.randn(32, 16, generator=torch.Generator().manual_seed(1)), torch.arange(32) % 4
    finding = diagnose(model, batch, F.cross_entropy).findings[0]
    assert finding.kind == "cliff" and "at the weights of last" in finding.evidence
    assert "larger weights in last" in finding.remedy and not any(p.grad is not None for p in model.parameters())
