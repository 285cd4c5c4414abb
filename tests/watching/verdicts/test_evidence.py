import pytest
import torch
from torch import nn
from watched import backpropagate, batch

from vgexp.watching.monitor import watch
from vgexp.watching.verdicts.evidence import closed_gates, gather


def test_coverage_says_what_was_not_seen_and_why():
    class Partial(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
            self.head, self.spare, self.lost = nn.Linear(16, 5), nn.Linear(16, 5), nn.Linear(16, 5)

        def forward(self, x):
            h = self.attention(x[:, None], x[:, None], x[:, None])[0][:, 0]
            return self.head(h) + self.lost(h).detach()

    model, (x, y) = Partial(), batch()
    with watch(model) as monitor:
        backpropagate(model, x, y)
        monitor.step()
    why = monitor.coverage().set_index("name")["why"]
    assert why["attention"] == why["head"] == ""
    assert why["attention.out_proj"] == "its weights are used without calling it"
    assert why["spare"] == "never called"
    assert why["lost"] == "called, but no loss depends on what it put out"


def test_closed_gates():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.alpha = nn.Linear(4, 4), nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x + self.alpha * self.layer(x)

    model = Gated()
    nn.init.zeros_(model.layer.bias)
    assert closed_gates(model) == []
    model(torch.ones(3, 4)).sum().backward()
    assert closed_gates(model) == ["alpha"]


def test_rows_know_what_the_diagnosis_asks_beside_their_columns():
    model, (x, y) = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 5)).half().float(), batch(4)
    with torch.no_grad():
        model[0].bias[0] = -100.0
    with watch(model) as monitor:
        backpropagate(model, x.reshape(4, 1, 4, 4), y)
        monitor.step()
    (observation,) = monitor._observations
    evidence = gather(observation, monitor.layers)
    convolution, linear = evidence.rows
    assert (convolution["fan_in"], linear["fan_in"]) == (9, 8)
    ((always_N, never_N),) = convolution["off"]
    assert always_N[0] and always_N.shape == never_N.shape == (2,) and linear["off"] == []
    assert convolution["underflow_below"] == pytest.approx(1e8 * torch.finfo(torch.float32).tiny)
    assert evidence.absent == evidence.disconnected == {} and evidence.gates == []
