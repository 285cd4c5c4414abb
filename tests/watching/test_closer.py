"""What only a second look at the batch tells, on networks whose fault is known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from zoo import he, mlp

from vgexp.watching.checkup import diagnose
from vgexp.watching.closer import look
from vgexp.watching.monitor import watch


class Half(nn.Module):
    """Runs in float16, whatever its inputs are."""

    def __init__(self, phi=nn.ReLU, law=he):
        super().__init__()
        torch.manual_seed(0)
        self.net = mlp(6, 64, phi, law)

    def forward(self, x):
        with torch.autocast("cpu", torch.float16):
            return self.net(x)


def problem(scale):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(32, 64, generator=generator), torch.randint(10, (32,), generator=generator)
    return (x, y), lambda output, target: scale * F.cross_entropy(output.to(torch.float32), target)


def test_what_low_precision_loses_is_said_with_the_numbers_of_float64():
    batch, loss = problem(1e-6)
    (finding,) = diagnose(Half(), batch, loss).findings
    assert finding.kind == "vanishing" and finding.evidence.startswith("float16 rounds")
    assert "in float64" in finding.evidence and "GradScaler" in finding.remedy


def test_a_scale_of_the_loss_that_suits_float16_has_no_finding():
    batch, loss = problem(1e3)
    assert diagnose(Half(), batch, loss).findings == []


def test_what_float64_loses_too_is_said_beside_it():
    batch, loss = problem(1e-3)
    kinds = [finding.evidence for finding in diagnose(Half(nn.Sigmoid, None), batch, loss).findings]
    assert any(words.startswith("float16") for words in kinds) and any("falls by" in words for words in kinds)


def test_a_look_leaves_nothing_behind_and_says_whether_all_was_finite():
    model = mlp(2, 8, nn.Tanh)
    x = torch.randn(4, 8)
    evidence, sound = look(model, lambda: model(x).square().mean())
    assert sound and len(evidence.rows) == 3 and all(p.grad is None for p in model.parameters())
    assert not look(model, lambda: (model(x) * torch.inf).sum())[1]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_derivative_that_is_a_constant_in_the_loss(create_graph):
    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = mlp(2, 8, nn.Tanh, inputs=3, classes=1)

        def forward(self, x):
            x = x.detach().requires_grad_()
            y = self.net(x)
            return y, torch.autograd.grad(y.sum(), x, create_graph=create_graph, retain_graph=True)[0]

    diagnosis = diagnose(Slope(), (torch.randn(8, 3), None), lambda o, t: o[0].square().mean() + o[1].square().mean())
    assert [finding.kind for finding in diagnosis.findings] == ([] if create_graph else ["disconnected"])
    assert create_graph or "create_graph=True" in diagnosis.findings[0].evidence


def test_where_a_scale_of_the_loss_does_not_help_it_is_not_the_remedy():
    """A sum of squares overflows in float16, and what is divided by it is 0, however large the loss is."""

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.lower, self.upper = nn.Linear(64, 64), nn.Linear(64, 4)

        def forward(self, x):
            h = self.lower(x)
            return self.upper(h / (h * h).sum(-1, keepdim=True).sqrt())

    batch = 100 * torch.randn(16, 64, dtype=torch.float16), torch.randint(4, (16,))
    found = diagnose(Normed().half(), batch, lambda o, t: F.cross_entropy(o.float(), t)).findings
    (lost,) = [finding for finding in found if finding.evidence.startswith("float16 rounds")]
    assert "with the loss times 32768" in lost.evidence and "GradScaler" not in lost.remedy
    assert lost.remedy.startswith("bfloat16 or float32")


class ByHand(nn.Module):
    """Reads its weights without calling their modules, as meta-learning by hand does."""

    def __init__(self, slip=False):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.slip = nn.Linear(8, 8), nn.Linear(8, 4), slip

    def forward(self, x):
        h = torch.tanh(F.linear(x, self.one.weight.detach() if self.slip else self.one.weight, self.one.bias))
        return F.linear(h, self.two.weight, self.two.bias)


def test_weights_that_are_used_without_their_modules_are_accounted_for():
    batch = torch.randn(16, 8), torch.randint(4, (16,))
    sound = diagnose(ByHand(), batch, F.cross_entropy)
    assert sound.verdict == "healthy" and sound.notes[0].startswith("no layer was seen to run")
    (finding,) = diagnose(ByHand(slip=True), batch, F.cross_entropy).findings
    assert finding.layers == ["one.weight"] and "detach" in finding.evidence


class LayerDrop(nn.Module):
    """Residual blocks of which chance leaves some out, as Wav2Vec2 and HuBERT have them; `forgotten` never runs."""

    def __init__(self, share, forgotten=False):
        super().__init__()
        torch.manual_seed(0)
        self.share = share
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64)) for _ in range(6))
        self.head = nn.Linear(64, 10)
        if forgotten:
            self.forgotten = nn.Linear(64, 64)

    def forward(self, x):
        for block in self.blocks:
            if not self.training or torch.rand(()) >= self.share:
                x = x + block(x)
        return self.head(x)


@pytest.mark.parametrize("seed", range(4))
def test_what_chance_left_out_is_not_disconnected(seed):
    batch, loss = problem(1)
    model = LayerDrop(0.5)
    torch.manual_seed(seed)
    before = torch.get_rng_state()
    diagnosis = diagnose(model, batch, loss)
    assert diagnosis.verdict == "healthy"
    assert any("did not run at this step" in note for note in diagnosis.notes)
    assert torch.equal(torch.get_rng_state(), before) and all(p.grad is None for p in model.parameters())


def test_what_never_runs_is_disconnected_also_beside_what_chance_leaves_out():
    batch, loss = problem(1)
    found = diagnose(LayerDrop(0.5, forgotten=True), batch, loss).findings
    assert [finding.layers for finding in found if finding.kind == "disconnected"] == [["forgotten"]]
    (finding,) = diagnose(LayerDrop(0, forgotten=True), batch, loss).findings
    assert finding.layers == ["forgotten"]


def test_what_ran_at_another_recorded_step_is_not_disconnected():
    (x, y), loss = problem(1)
    model = LayerDrop(0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    torch.manual_seed(0)
    with watch(model, every=1) as monitor:
        for _ in range(12):
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
            monitor.step()
    assert monitor.diagnosis().verdict == "healthy"
