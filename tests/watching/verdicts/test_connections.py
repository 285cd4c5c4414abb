import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from watched import row
from zoo import findings, he, mlp

from vgexp.watching.checkup import diagnose
from vgexp.watching.monitor import watch
from vgexp.watching.verdicts.connections import behind

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")


def test_not_a_number_names_who_made_it():
    assert findings("nan weight")[0].layers == ["6"]
    assert findings("nan in the middle")[0].layers == ["1"]
    assert "log in 1" in findings("nan in the middle")[0].evidence
    backward = findings("nan backward")[0]
    assert backward.layers == ["1"] and "backward: the derivative of sqrt" in backward.evidence
    torch.manual_seed(0)
    model = mlp(3, 16, nn.Tanh)
    x, y = torch.randn(8, 16), torch.randint(10, (8,))
    assert diagnose(model, (x * math.nan, y), F.cross_entropy).findings[0].layers == ["inputs"]
    assert diagnose(model, (x, y), lambda o, t: (o.sum() * 0).log()).findings[0].layers == ["loss"]


def test_dead_layers_are_named():
    """Where all units are off, nothing comes back to what is below, and what is above has nothing to weight."""
    assert findings("dead relu")[0].layers == [str(i) for i in range(0, 18, 2)]
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


class Adapted(nn.Module):
    """A frozen layer with a trainable one of low rank beside it, which starts closed."""

    def __init__(self, inputs=16, outputs=16):
        super().__init__()
        self.base = nn.Linear(inputs, outputs).requires_grad_(False)
        self.down, self.up = nn.Linear(inputs, 4), nn.Linear(4, outputs)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def closed_head():
    model = mlp(3, 16, nn.ReLU)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model


STARTS = {
    "the last layer": (closed_head, "6.weight"),
    "an adapter of the first layer alone": (
        lambda: nn.Sequential(Adapted(), nn.ReLU(), nn.Linear(16, 10).requires_grad_(False)),
        "0.up.weight",
    ),
    "adapters": (lambda: nn.Sequential(Adapted(), nn.ReLU(), Adapted(16, 10)), "0.up.weight, 2.up.weight"),
}


@pytest.mark.parametrize("name", STARTS)
def test_what_starts_at_0_as_people_start_it_is_not_dead_and_trains(name):
    torch.manual_seed(0)
    make, gates = STARTS[name]
    model, x, y = make(), torch.randn(32, 16), torch.randint(10, (32,))
    diagnosis = diagnose(model, (x, y), F.cross_entropy)
    assert diagnosis.findings == [] and gates in diagnosis.notes[0]
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        losses.append(F.cross_entropy(model(x), y))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0] and diagnose(model, (x, y), F.cross_entropy).notes == []


def test_a_dead_layer_beside_an_adapter_that_starts_at_0_is_dead():
    torch.manual_seed(0)
    model = nn.Sequential(Adapted(), nn.Linear(16, 16), nn.ReLU(), Adapted(16, 10))
    nn.init.constant_(model[1].bias, -100.0)
    finding = diagnose(model, (torch.randn(8, 16), torch.randint(10, (8,))), F.cross_entropy).findings[0]
    assert finding.kind == "dead" and "1" in finding.layers and "Relu" in finding.evidence


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


class Backbone(nn.Module):
    """A head on features that are computed in a way of their own."""

    def __init__(self, features):
        super().__init__()
        torch.manual_seed(0)
        self.backbone, self.head, self.features = mlp(3, 16, nn.Tanh, classes=16), nn.Linear(16, 4), features

    def forward(self, x):
        return self.head(self.features(self.backbone, x))


@torch.no_grad()
def without_graph(backbone, x):
    return backbone(x)


def frozen_while_it_ran(backbone, x):
    backbone.requires_grad_(False)
    h = backbone(x)
    backbone.requires_grad_(True)
    return h


def behind_a_checkpoint(backbone, x):
    return checkpoint(backbone, x, use_reentrant=True)


def left_out(backbone, x):
    backbone(x)
    return x


@pytest.mark.parametrize(
    ("features", "remedy"),
    [
        (without_graph, "take it out of no_grad"),
        (frozen_while_it_ran, "before the forward pass"),
        (behind_a_checkpoint, "use_reentrant=False"),
        (left_out, "into the loss"),
        (lambda backbone, x: x, "use them in forward"),
        (lambda backbone, x: backbone(x).detach(), "drop that detach"),
        (lambda backbone, x: torch.as_tensor(backbone(x).detach().numpy()), "in torch"),
        (lambda backbone, x: F.one_hot(backbone(x).argmax(1), 16).float(), "softmax"),
        (lambda backbone, x: (backbone(x) > 0).float(), "a sigmoid in the place of the comparison"),
    ],
)
def test_layers_that_one_cause_cuts_off_are_one_finding_with_its_remedy(features, remedy):
    batch = torch.randn(8, 16), torch.randint(4, (8,))
    (finding,) = diagnose(Backbone(features), batch, F.cross_entropy).findings
    assert finding.kind == "disconnected" and finding.layers == [f"backbone.{i}" for i in (0, 2, 4, 6)]
    assert remedy in finding.remedy and "freeze" in finding.remedies[1].words


class Wrapper(nn.Module):
    """As DistributedDataParallel wraps."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


def test_a_wrapper_changes_nothing_that_is_said():
    batch = torch.randn(8, 16), torch.randint(4, (8,))
    made = {
        "layers": lambda: Backbone(without_graph),
        "one layer": lambda: Backbone(lambda backbone, x: backbone[:2](x) * backbone[4](x).detach()),
        "a closed start": closed_head,
        "a dead layer": lambda: mlp(4, 16, nn.ReLU, nn.init.zeros_, inputs=16, classes=4),
        "nothing trainable": lambda: mlp(2, 16, nn.Tanh).requires_grad_(False),
    }
    for name, make in made.items():
        for loss_fn in (F.cross_entropy, lambda o, t: (o.argmax(1) == t).float().mean()):
            torch.manual_seed(0)
            plain = str(diagnose(make(), batch, loss_fn))
            torch.manual_seed(0)
            assert str(diagnose(Wrapper(make()), batch, loss_fn)) == plain, name


def test_a_network_in_which_nothing_is_trainable_is_disconnected():
    model = mlp(2, 16, nn.Tanh).requires_grad_(False)
    (finding,) = diagnose(model, (torch.randn(8, 16), torch.randint(10, (8,))), F.cross_entropy).findings
    assert finding.kind == "disconnected" and "none requires a gradient" in finding.evidence
    assert "requires_grad_(True)" in finding.remedy


class Divided(nn.Module):
    """Divides by a sum that may be 0."""

    def __init__(self):
        super().__init__()
        self.net = mlp(2, 16, nn.ReLU, inputs=16, classes=4)

    def forward(self, x):
        h = torch.relu(self.net(x) - 1e3)
        return h / h.sum(1, keepdim=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_follows_from_nan_is_no_finding_of_its_own(dtype):
    """Rectifiers hand on 0 where NaN came, and casts lose nothing of it."""
    torch.manual_seed(0)
    model = Divided().to(dtype)
    batch = torch.randn(8, 16, dtype=dtype), torch.randn(8, 4)
    (finding,) = diagnose(model, batch, lambda o, t: o.float().sum()).findings
    assert finding.kind == "nan" and "div" in finding.evidence and finding.layers


def test_every_target_ignored_is_one_finding():
    torch.manual_seed(0)
    model, x = mlp(2, 16, nn.ReLU, inputs=16, classes=4), torch.randn(8, 16)
    (finding,) = diagnose(model, (x, torch.full((8,), -100)), F.cross_entropy).findings
    assert finding.kind == "nan"


def test_what_opens_has_little_below_it_for_some_steps():
    """After its first update a last layer that started at 0 is a cliff: it is judged when it has grown."""
    torch.manual_seed(0)
    model, (x, y) = mlp(4, 16, nn.ReLU, he, inputs=16, classes=4), (torch.randn(32, 16), torch.randint(4, (32,)))
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with watch(model, every=1, optimizer=optimizer) as monitor:
        for _ in range(8):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            monitor.step()
            assert monitor.diagnosis().findings == []
            optimizer.step()


class Scaled(nn.Module):
    """Sound under autocast; `wrong` is put behind its first layer."""

    def __init__(self, wrong=None):
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.wrong = nn.Linear(16, 32), nn.Linear(32, 4), wrong or (lambda h: h)

    def forward(self, x):
        return self.head(torch.relu(self.wrong(self.body(x))))


def nan_backward(h):
    return h + 0 * (h.float() * 0).sqrt().to(h.dtype)


LOSSES = {
    "none": lambda output, y: F.cross_entropy(output.float(), y),
    "a loss that is not a number": lambda output, y: F.cross_entropy(output.float(), y) * math.nan,
    "a large loss": lambda output, y: F.cross_entropy(output.float(), y) * 1e32,
}


def under_a_scaler(model, loss, scale, dtype=torch.float16, steps=1, size=1.0):
    """The diagnosis after each step, and whether the scaler skipped its update."""
    optimizer, found = torch.optim.SGD(model.parameters(), 1e-6), []
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    with watch(model, every=1, scaler=scaler, optimizer=optimizer) as monitor:
        for step in range(steps):
            torch.manual_seed(step)
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype):
                lost = loss(model(size * torch.randn(8, 16)), torch.randint(4, (8,)))
            scaler.scale(lost).backward()
            monitor.step()
            before = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            found.append((monitor.diagnosis(), scaler.get_scale() < before))
    return found


@pytest.mark.parametrize(("scale", "size"), [(2.0**20, 1.0), (2.0**22, 1.0), (2.0**16, 300.0)])
def test_an_overflow_that_a_scaler_looks_after_is_no_fault(scale, size):
    """The first scales are too large, so that it finds the largest that is not: for dz, or where inputs are large for
    dW alone."""
    found = under_a_scaler(Scaled(), LOSSES["none"], scale, steps=12, size=size)
    assert found[0][1] and not all(skipped for _, skipped in found)
    assert [diagnosis.findings for diagnosis, _ in found] == [[]] * 12
    noted = [any("the scaler skips this update" in note for note in diagnosis.notes) for diagnosis, _ in found]
    assert noted[0] and all(skipped for (_, skipped), note in zip(found, noted, strict=True) if note)


@pytest.mark.parametrize(
    ("model", "loss", "scale", "dtype"),
    [
        (Scaled(), "a loss that is not a number", 2.0**18, torch.float16),
        (Scaled(nan_backward), "none", 1.0, torch.float16),
        (Scaled(nan_backward), "none", 1024.0, torch.float16),
        (Scaled(lambda h: h * math.inf), "none", 1024.0, torch.float16),
        (Scaled(), "a large loss", 2.0**30, torch.bfloat16),
    ],
)
def test_under_a_scaler_what_it_cannot_mend_is_a_finding(model, loss, scale, dtype):
    ((diagnosis, _),) = under_a_scaler(model, LOSSES[loss], scale, dtype)
    assert diagnosis.verdict == "nan"


def test_what_stays_infinite_is_found_once_the_scale_is_1():
    infinite = under_a_scaler(Scaled(), lambda output, y: (output.float() * 0).sqrt().sum(), 4.0, steps=4)
    assert [diagnosis.verdict == "nan" for diagnosis, _ in infinite][-2:] == [True, True]


class Experts(nn.Module):
    """A mixture whose experts are called whether or not they get a token; what they make of it may be lost."""

    def __init__(self, idle=(), deaf=()):
        super().__init__()
        torch.manual_seed(0)
        self.gate, self.head, self.deaf = nn.Linear(8, 4), nn.Linear(8, 3), deaf
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8)) for _ in range(4))
        with torch.no_grad():
            self.gate.weight.copy_(torch.randn(4, 8))
            self.gate.bias[list(idle)] = -100.0

    def forward(self, x):
        weight, best = self.gate(x).softmax(-1).max(-1)
        y = x
        for i, expert in enumerate(self.experts):
            (chosen,) = (best == i).nonzero(as_tuple=True)
            h = expert(x[chosen]) * weight[chosen, None]
            y = y.index_add(0, chosen, 0 * h if i in self.deaf else h)
        return self.head(y)


@pytest.mark.parametrize("quantities", ["all", "gradients"])
@pytest.mark.parametrize("idle", [(), (2,), (1, 3)])
def test_an_expert_without_a_token_is_not_dead_but_one_that_is_not_heard_is(idle, quantities):
    model, (x, y) = Experts(idle, deaf=(0,)), (torch.randn(64, 8), torch.randint(3, (64,)))
    with watch(model, quantities=quantities) as monitor:
        F.cross_entropy(model(x), y).backward()
        monitor.step()
    for diagnosis in (monitor.diagnosis(), diagnose(model, (x, y), F.cross_entropy)):
        assert [(f.kind, f.layers) for f in diagnosis.findings] == [("dead", ["experts.0.0", "experts.0.2"])]
        noted = [name for name in map("experts.{}.2".format, range(4)) if any(name in note for note in diagnosis.notes)]
        assert noted == [f"experts.{i}.2" for i in idle]
