"""Values are those of a reference without hooks, whatever users do to their models."""

import copy
import gc
import math
import pickle
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from watched import agree, backpropagate, batch, by_hand, hooks, linears, mlp, rms, train

from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.monitor import watch


class Blocks(nn.Module):
    """Checkpointed in blocks of a layer and its activation."""

    def __init__(self, reentrant):
        super().__init__()
        self.model, self.reentrant = mlp(), reentrant

    def forward(self, x):
        x = x.clone().requires_grad_()
        for i in range(0, 6, 2):
            x = checkpoint(self.model[i : i + 2], x, use_reentrant=self.reentrant)
        return self.model[6](x)


def evaluated_first(model, x, y):
    with torch.no_grad():
        model(x)
    backpropagate(model, x, y)


def evaluated_with_a_graph(model, x, y):
    model(x[:5])
    backpropagate(model, x, y)


def compiled_afterwards(model, x, y):
    backpropagate(torch.compile(model, backend="aot_eager"), x, y)


def with_closure_of_gradients(model, x, y):
    loss = F.cross_entropy(model(x), y)
    torch.autograd.grad(loss, list(model.parameters()))


def penalised(model, x, y):
    loss = F.cross_entropy(model(x), y)
    loss.backward(create_graph=True)


@pytest.mark.parametrize(
    ("make", "run", "columns"),
    [
        (mlp, backpropagate, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (lambda: Blocks(False), backpropagate, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (lambda: Blocks(True), backpropagate, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (mlp, evaluated_first, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (mlp, evaluated_with_a_graph, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (mlp, with_closure_of_gradients, ("z_rms", "dz_rms", "w_rms")),
        pytest.param(
            mlp, penalised, ("z_rms", "dz_rms", "dw_rms"), marks=pytest.mark.filterwarnings("ignore:Using backward")
        ),
        pytest.param(
            mlp, compiled_afterwards, ("z_rms", "dz_rms", "dw_rms", "w_rms"), marks=pytest.mark.filterwarnings("ignore")
        ),
    ],
    ids=["plain", "checkpoint", "reentrant", "no_grad", "graph", "autograd.grad", "create_graph", "compile"],
)
def test_matrix(make, run, columns):
    model, (x, y) = make(), batch()
    expected = by_hand(linears(model), x, y)
    with watch(model) as monitor:
        run(model, x, y)
        monitor.step()
        for parameter in model.parameters():
            parameter.grad = None
    frame = monitor.frame()
    assert frame["layer"].tolist() == [1, 2, 3, 4] and frame["call"].eq(0).all() and not frame["frozen"].any()
    agree(frame, expected, columns)
    if run is with_closure_of_gradients:
        assert frame["dw_rms"].isna().all() and monitor.diagnosis().verdict in ("healthy", "undecided")
    torch._dynamo.reset()


def test_activations_in_place():
    model, (x, y) = mlp(lambda: nn.ReLU(inplace=True)), batch()
    expected = by_hand(linears(model), x, y, torch.relu)
    with watch(model) as monitor:
        backpropagate(model, x, y)
        monitor.step()
    agree(monitor.frame(), expected)
    assert monitor.frame()["activation"].tolist() == ["relu", "relu", "relu", ""]


def test_a_module_that_is_used_several_times():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.head = nn.Linear(16, 16), nn.Linear(16, 5)

        def forward(self, x):
            for _ in range(4):
                x = torch.tanh(self.cell(x))
            return self.head(x)

    model, (x, y) = Reused(), batch()
    expected = by_hand([model.cell] * 4 + [model.head], x, y)
    with watch(model) as monitor:
        backpropagate(model, x, y)
        monitor.step()
    frame = monitor.frame()
    agree(frame, expected, ("z_rms", "dz_rms"))
    assert list(zip(frame["name"], frame["call"], strict=True)) == [*(("cell", i) for i in range(4)), ("head", 0)]
    assert frame["dw_rms"].notna().tolist() == [True, False, False, False, True]
    assert frame["dw_rms"][0] == pytest.approx(rms(model.cell.weight.grad))


def test_two_backwards_through_one_graph_are_pooled():
    model, (x, y) = mlp(), batch()
    expected = by_hand(linears(model), x, y)
    with watch(model) as monitor:
        loss = F.cross_entropy(model(x), y)
        loss.backward(retain_graph=True)
        loss.backward()
        monitor.step()
    agree(monitor.frame(), expected, ("z_rms", "dz_rms"))


def test_layers_called_one_by_one():
    model, (x, y) = mlp(), batch()
    expected = by_hand(linears(model), x, y)
    with watch(model) as monitor:
        h = x
        for module in model:
            h = module(h)
        F.cross_entropy(h, y).backward()
        monitor.step()
    agree(monitor.frame(), expected)
    assert monitor.frame()["activation"].tolist() == ["tanh", "tanh", "tanh", ""]


def test_autocast():
    model, (x, y) = mlp(), batch(64)
    with watch(model) as monitor, torch.autocast("cpu", torch.bfloat16):
        backpropagate(model, x, y)
        monitor.step()
    agree(monitor.frame(), by_hand(linears(model), x, y), ("z_rms", "dz_rms", "dw_rms"), rel=0.03)


def test_functional_transforms_are_refused():
    model, (x, y) = mlp(), batch()
    parameters = dict(model.named_parameters())

    def loss(parameters, x, y):
        return F.cross_entropy(torch.func.functional_call(model, parameters, (x,)), y)

    with watch(model), pytest.raises(Unsupported, match=r"torch\.func"):
        torch.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, x[:, None], y[:, None])


@pytest.mark.parametrize("first", [True, False], ids=["theirs first", "ours first"])
def test_other_hooks_on_the_same_tensor_see_their_gradient_too(first):
    """Theirs may come before ours, by a forward hook of their own, or after, and can be taken out again."""
    model, (x, y) = mlp(depth=2), batch()
    layer, seen, handles = linears(model)[1], [], []

    def theirs(module, args, output):
        handles.append(output.register_hook(lambda dz: seen.append(rms(dz))))
        handles.append(output.register_hook(lambda dz: seen.append(math.inf)))
        handles[-1].remove()

    if first:
        layer.register_forward_hook(theirs)
    monitor = watch(model, every=1)
    if not first:
        layer.register_forward_hook(theirs)
    F.cross_entropy(model(x), y).backward()
    monitor.step()
    expected = by_hand(linears(model), x, y)
    agree(monitor.frame(), expected)
    assert seen == pytest.approx([expected["dz_rms"][1]])
    handles[0].remove()


def test_nothing_is_left_behind():
    model = mlp()
    before = pickle.dumps(model)
    for _ in range(1000):
        with watch(model):
            pass
    assert hooks(model) == 0 and pickle.dumps(model) == before
    monitor = train(model, True, steps=2)
    gone = weakref.ref(monitor)
    del monitor
    gc.collect()
    assert gone() is None


class Token(torch.autograd.Function):
    """Holds an object for as long as the graph lives."""

    @staticmethod
    def forward(ctx, x, thing):
        ctx.thing = thing
        return x.clone()

    @staticmethod
    def backward(ctx, dx):
        return dx, None


def test_a_graph_that_is_not_backpropagated_is_not_kept():
    model, (x, _) = mlp(), batch()
    with watch(model):
        thing = nn.Identity()
        alive = weakref.ref(thing)
        output = model(Token.apply(x.requires_grad_(), thing))
        del thing
        gc.collect()
        assert alive() is not None
        del output
        gc.collect()
        assert alive() is None


def test_copies_and_pickles_of_a_watched_model_are_silent():
    model, (x, y) = mlp(), batch()
    with watch(model) as monitor:
        twin, thawed = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
        backpropagate(twin, x, y)
        backpropagate(thawed, x, y)
        backpropagate(model, x, y)
        monitor.step()
    assert len(monitor.frame()) == 4


def test_a_forward_pass_that_raises_is_forgotten():
    model, (x, y) = mlp(), batch()
    with watch(model) as monitor:
        with pytest.raises(RuntimeError):
            model(x[:, :3])
        backpropagate(model, x, y)
        monitor.step()
    agree(monitor.frame(), by_hand(linears(model), x, y))


class Sensitive(nn.Module):
    """Puts out y and dy/dx: a loss of both has an inner backward pass."""

    def __init__(self):
        super().__init__()
        self.net = mlp(depth=3, classes=1)

    def forward(self, x):
        x = x.detach().requires_grad_()
        y = self.net(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return y, slope


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_gradients_of_another_function_are_left_out(scale):
    """An inner torch.autograd.grad, as of physical residuals and gradient penalties, fires the same hooks."""
    model, (x, _) = Sensitive(), batch()
    zs = []
    handles = [layer.register_forward_hook(lambda *args: zs.append(args[-1])) for layer in linears(model)]
    y, slope = model(x)
    expected = torch.autograd.grad(scale * (y.square().mean() + slope.square().mean()), zs)
    for handle in handles:
        handle.remove()
    with watch(model) as monitor:
        y, slope = model(x)
        (scale * (y.square().mean() + slope.square().mean())).backward()
        monitor.step()
    assert monitor.frame()["dz_rms"].tolist() == pytest.approx([rms(dz) for dz in expected], rel=1e-5)
    assert monitor.frame()["depth"].tolist() == [3.0, 2.0, 1.0, 0.0]


def test_an_inner_step_of_meta_learning_is_another_function_s():
    model, (x, y) = mlp(), batch()
    names = dict(model.named_parameters())
    with watch(model, every=1) as monitor:
        inner = F.cross_entropy(model(x), y)
        steps = torch.autograd.grad(inner, list(names.values()), create_graph=True)
        (1e3 * sum(step.square().sum() for step in steps) + F.cross_entropy(model(x), y)).backward()
        monitor.step()
    assert len(monitor.frame()) == 8
    zs = []
    handles = [layer.register_forward_hook(lambda *args: zs.append(args[-1])) for layer in linears(model)]
    inner = F.cross_entropy(model(x), y)
    steps = torch.autograd.grad(inner, list(names.values()), create_graph=True)
    loss = 1e3 * sum(step.square().sum() for step in steps) + F.cross_entropy(model(x), y)
    expected = torch.autograd.grad(loss, zs)
    for handle in handles:
        handle.remove()
    assert monitor.frame()["dz_rms"].tolist() == pytest.approx([rms(dz) for dz in expected], rel=1e-5)


def test_calls_after_an_inner_pass_are_counted_on():
    """A critic is called on real, made and mixed examples before the loss goes back through all three."""
    critic, (x, _) = mlp(classes=1), batch()
    with watch(critic, every=1) as monitor:
        mixed = (0.5 * x).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        (critic(x).mean() - critic(-x).mean() + slope.square().mean()).backward()
        monitor.step()
        assert sorted(monitor.frame()["call"].unique()) == [0, 1, 2]


@pytest.mark.parametrize("inplace", [False, True])
def test_a_view_that_is_changed_in_place_keeps_its_gradient(inplace):
    """A linear layer puts out a view where its input has three axes; an operation in place takes its node's place."""
    model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace), nn.Linear(16, 16), nn.ReLU(inplace), nn.Linear(16, 5))
    x, y = torch.randn(6, 3, 16), torch.randint(5, (6, 3))
    zs, h = [], x
    for module in model:
        h = F.relu(h) if isinstance(module, nn.ReLU) else module(h)
        zs += [h] if isinstance(module, nn.Linear) else []
    expected = torch.autograd.grad(F.cross_entropy(h.flatten(0, 1), y.flatten()), zs)
    with watch(model) as monitor:
        F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
        monitor.step()
    frame = monitor.frame()
    assert frame["dz_rms"].tolist() == pytest.approx([rms(dz) for dz in expected], rel=1e-5)
    assert frame["depth"].tolist() == [2.0, 1.0, 0.0]
    assert frame["activation"].tolist() == [*2 * ("" if inplace else "relu",), ""]  # the graph hides it there
    signals = [max(float(dz.norm()), float(dz.sum(1).norm())) for dz in expected]
    assert frame["dz_norm"].tolist() == pytest.approx(signals, rel=1e-5)


def test_the_signal_sums_over_positions():
    """Where weights are shared over positions their gradient is a sum over them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3))
    x, zs = torch.randn(6, 1, 9, 9), []
    h = x
    for module in model:
        h = module(h)
        zs += [h] if isinstance(module, nn.Conv2d) else []
    expected = torch.autograd.grad(h.mean((2, 3)).square().sum(), zs)
    with watch(model) as monitor:
        model(x).mean((2, 3)).square().sum().backward()
        monitor.step()
    signals = [max(float(dz.norm()), float(dz.sum((2, 3)).norm())) for dz in expected]
    assert signals[1] > 4 * float(expected[1].norm())
    assert monitor.frame()["dz_norm"].tolist() == pytest.approx(signals, rel=1e-5)


def test_a_module_that_puts_out_what_one_inside_it_did_counts_once():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.inner = nn.Parameter(torch.randn(16, 16)), nn.Linear(16, 16)

        def forward(self, x):
            return self.inner(x @ self.weight)

    model = nn.Sequential(Outer(), nn.Tanh(), nn.Linear(16, 1))
    with watch(model) as monitor:
        model(torch.randn(4, 16)).sum().backward()
        calls = monitor._listener.calls()
    assert [(call.layer.name, call.way.depth) for call in calls if call.twin is None] == [("0.inner", 1), ("2", 0)]
