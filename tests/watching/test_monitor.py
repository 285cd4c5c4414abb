import copy
import gc
import math
import pickle
import weakref

import pandas as pd
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint
from watched import agree, batch, by_hand, linears, mlp, rms, train

import vgexp
from vgexp.watching.listener import Unsupported
from vgexp.watching.monitor import watch

# What users do to models: the values have to be those of a reference without hooks.


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


def plain(model, x, y):
    F.cross_entropy(model(x), y).backward()


def evaluated_first(model, x, y):
    with torch.no_grad():
        model(x)
    plain(model, x, y)


def evaluated_with_a_graph(model, x, y):
    model(x[:5])
    plain(model, x, y)


def compiled_afterwards(model, x, y):
    plain(torch.compile(model, backend="aot_eager"), x, y)


def with_closure_of_gradients(model, x, y):
    loss = F.cross_entropy(model(x), y)
    torch.autograd.grad(loss, list(model.parameters()))


def penalised(model, x, y):
    loss = F.cross_entropy(model(x), y)
    loss.backward(create_graph=True)


@pytest.mark.parametrize(
    ("make", "run", "columns"),
    [
        (mlp, plain, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (lambda: Blocks(False), plain, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
        (lambda: Blocks(True), plain, ("z_rms", "dz_rms", "dw_rms", "w_rms")),
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
        assert frame["dw_rms"].isna().all() and monitor.diagnosis().verdict in ("healthy", "borderline")
    torch._dynamo.reset()


def test_activations_in_place():
    model, (x, y) = mlp(lambda: nn.ReLU(inplace=True)), batch()
    expected = by_hand(linears(model), x, y, torch.relu)
    with watch(model) as monitor:
        plain(model, x, y)
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
        plain(model, x, y)
        monitor.step()
    frame = monitor.frame()
    agree(frame, expected, ("z_rms", "dz_rms"))
    assert list(zip(frame["name"], frame["call"], strict=True)) == [*(("cell", i) for i in range(4)), ("head", 0)]
    assert frame["dw_rms"].notna().tolist() == [True, False, False, False, True]
    assert frame["dw_rms"][0] == pytest.approx(rms(model.cell.weight.grad))


def test_tied_weights_are_named_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x):
            return self.head(self.embedding(x))

    model, x = Tied(), torch.randint(20, (30,))
    with watch(model) as monitor:
        F.cross_entropy(model(x), x).backward()
        monitor.step()
    frame = monitor.frame()
    assert frame["name"].tolist() == ["embedding", "head"] and frame["dz_rms"].notna().all()
    assert frame["dw_rms"].tolist() == pytest.approx([rms(model.embedding.weight.grad), math.nan], nan_ok=True)


def test_two_backwards_are_pooled():
    model, (x, y) = mlp(), batch()
    one, two = by_hand(linears(model), x[:4], y[:4]), by_hand(linears(model), x[4:], y[4:])
    with watch(model) as monitor:
        for part in (slice(0, 4), slice(4, 12)):
            F.cross_entropy(model(x[part]), y[part]).backward()
        monitor.step()
    pooled = [math.sqrt((4 * a**2 + 8 * b**2) / 12) for a, b in zip(one["dz_rms"], two["dz_rms"], strict=True)]
    frame = monitor.frame()
    assert len(frame) == 4 and frame["dz_rms"].tolist() == pytest.approx(pooled, rel=1e-5)
    assert frame["dw_rms"].tolist() == pytest.approx([rms(layer.weight.grad) for layer in linears(model)], rel=1e-5)


def test_two_backwards_through_one_graph_are_pooled():
    model, (x, y) = mlp(), batch()
    expected = by_hand(linears(model), x, y)
    with watch(model) as monitor:
        loss = F.cross_entropy(model(x), y)
        loss.backward(retain_graph=True)
        loss.backward()
        monitor.step()
    agree(monitor.frame(), expected, ("z_rms", "dz_rms"))


def test_autocast():
    model, (x, y) = mlp(), batch(64)
    with watch(model) as monitor, torch.autocast("cpu", torch.bfloat16):
        plain(model, x, y)
        monitor.step()
    agree(monitor.frame(), by_hand(linears(model), x, y), ("z_rms", "dz_rms", "dw_rms"), rel=0.03)


@pytest.mark.parametrize("unscaled", [False, True])
def test_the_scale_of_a_scaler_is_divided_out(unscaled):
    model, (x, y) = mlp(), batch()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, scaler=scaler) as monitor:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        if unscaled:
            scaler.unscale_(optimizer)
        monitor.step()
    agree(monitor.frame(), by_hand(linears(model), x, y))


def on_rank(rank, world, path):
    dist.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=world)
    torch.manual_seed(0)
    model = mlp()
    parallel = nn.parallel.DistributedDataParallel(model)
    x, y = batch(seed=rank)
    expected = by_hand(linears(model), x, y)
    with watch(parallel) as monitor:
        F.cross_entropy(parallel(x), y).backward()
        monitor.step()
    frame = monitor.frame()
    assert frame["name"].tolist() == ["0", "2", "4", "6"]
    agree(frame, expected, ("z_rms", "dz_rms"))
    both = [by_hand(linears(model), *batch(seed=r)) for r in range(world)]
    assert all(f <= sum(b["dw_rms"][i] for b in both) for i, f in enumerate(frame["dw_rms"]))  # the mean over ranks
    assert frame["dw_rms"].tolist() == pytest.approx([rms(layer.weight.grad) for layer in linears(model)], rel=1e-5)
    dist.destroy_process_group()
    (path / f"done{rank}").touch()


@pytest.mark.slow
def test_distributed_data_parallel_measures_its_own_batch(tmp_path):
    torch.multiprocessing.spawn(on_rank, (2, tmp_path), nprocs=2)
    assert {path.name for path in tmp_path.glob("done*")} == {"done0", "done1"}


# What cannot be watched says so.


def test_weights_used_without_their_modules_are_refused():
    model, (x, y) = mlp(), batch()
    with watch(model) as monitor:
        h = x
        for layer in linears(model):
            h = F.linear(h, layer.weight, layer.bias)
        F.cross_entropy(h, y).backward()
        with pytest.raises(Unsupported, match="compiled before it was watched"):
            monitor.step()


def test_functional_transforms_are_refused():
    model, (x, y) = mlp(), batch()
    parameters = dict(model.named_parameters())

    def loss(parameters, x, y):
        return F.cross_entropy(torch.func.functional_call(model, parameters, (x,)), y)

    with watch(model), pytest.raises(Unsupported, match=r"torch\.func"):
        torch.vmap(torch.func.grad(loss), (None, 0, 0))(parameters, x[:, None], y[:, None])


def test_compiled_models_are_refused():
    with pytest.raises(Unsupported, match="watch it, then compile it"):
        watch(torch.compile(mlp(), backend="aot_eager"))
    model = mlp()
    model.compile(backend="aot_eager")
    with pytest.raises(Unsupported, match="compiled already"):
        watch(model)


def test_watching_twice_is_refused():
    model = mlp()
    with watch(model):
        with pytest.raises(Unsupported, match="watched already"):
            watch(model)
        with pytest.raises(Unsupported, match="watched already"):
            watch(nn.Sequential(model, nn.Linear(5, 5)))
    with watch(model):
        pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.ReLU(), "no layer to watch"),
        ("a model", "accepts an nn.Module"),
        (nn.DataParallel(nn.Linear(2, 2)), "runs copies"),
    ],
)
def test_what_is_no_model_is_refused(model, message):
    with pytest.raises(Unsupported, match=message):
        watch(model)


def test_bad_arguments():
    with pytest.raises(ValueError, match="every: got 'often', accepts never"):
        watch(mlp(), every="often")
    with pytest.raises(ValueError, match="quantities: got 'some', accepts all, gradients"):
        watch(mlp(), quantities="some")
    model = mlp()
    with (
        watch(model) as monitor,
        pytest.raises(ValueError, match=r"ends with \.parquet, \.csv, \.json"),
    ):
        monitor.save("table.xlsx")


# Harmless.


@pytest.mark.parametrize("quantities", ["all", "gradients"])
@pytest.mark.parametrize("phi", [nn.Tanh, lambda: nn.ReLU(inplace=True), nn.GELU])
def test_weights_are_bitwise_those_of_an_unwatched_training(phi, quantities):
    watched, bare = mlp(phi), mlp(phi)
    train(watched, True, quantities=quantities)
    train(bare, False)
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), bare.parameters(), strict=True))


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


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


def test_hooks_are_there_on_recorded_steps_only():
    model = mlp()
    with watch(model, every=[1]) as monitor:
        assert hooks(model) == 0
        monitor.step()
        assert hooks(model) > 0
        plain(model, *batch())
        monitor.step()
        assert hooks(model) == 0
    assert monitor.frame()["step"].unique().tolist() == [1]


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
        plain(twin, x, y)
        plain(thawed, x, y)
        plain(model, x, y)
        monitor.step()
    assert len(monitor.frame()) == 4


def test_a_forward_pass_that_raises_is_forgotten():
    model, (x, y) = mlp(), batch()
    with watch(model) as monitor:
        with pytest.raises(RuntimeError):
            model(x[:, :3])
        plain(model, x, y)
        monitor.step()
    agree(monitor.frame(), by_hand(linears(model), x, y))


# Records.


def test_the_default_schedule_is_sparse():
    model = mlp()
    monitor = train(model, True, steps=30, every="log")
    assert monitor.frame()["step"].unique().tolist() == [0, 1, 2, 3, 4, 6, 10, 16, 25]


def test_quantities_of_activations():
    model, (x, y) = mlp(nn.ReLU), batch()
    with torch.no_grad():
        model[2].bias[:4] = -100.0
    with watch(model) as monitor:
        plain(model, x, y)
        monitor.step()
    frame, h = monitor.frame(), x
    with torch.no_grad():
        for i, expected in enumerate(frame.to_dict("records")[:3]):
            h = torch.relu(model[2 * i](h))
            assert expected["h_mean"] == pytest.approx(float(h.mean()), rel=1e-5)
            assert expected["h_std"] == pytest.approx(float(h.std(correction=0)), rel=1e-5)
            assert expected["dead"] == pytest.approx(float((h == 0).all(0).float().mean()))
    assert frame["dead"][1] >= 4 / 16 and frame["saturation"].isna().all()


def test_gradients_alone():
    model, (x, y) = mlp(), batch()
    with watch(model, quantities="gradients") as monitor:
        plain(model, x, y)
        monitor.step()
    frame = monitor.frame()
    agree(frame, by_hand(linears(model), x, y), ("dz_rms", "dw_rms"))
    assert frame[["z_rms", "h_mean", "saturation", "w_rms"]].isna().all(axis=None)


def test_norms_neither_underflow_nor_overflow():
    model, (x, y) = mlp(nn.Sigmoid, depth=30), batch()
    for scale in (1e-18, 1e30):
        with watch(model) as monitor:
            (scale * F.cross_entropy(model(x), y)).backward()
            monitor.step()
            model.zero_grad()
        expected = by_hand(linears(model), x, y, torch.sigmoid)
        for column in ("dz_rms", "dw_rms"):
            values = [scale * value for value in expected[column]]
            normal = [i for i, value in enumerate(values) if 1e-36 < value < 1e36]
            assert len(normal) > 10
            seen = monitor.frame()[column]
            assert [seen[i] for i in normal] == pytest.approx([values[i] for i in normal], rel=1e-3)


def test_frozen_layers_are_marked():
    model, (x, y) = mlp(), batch()
    model[0].requires_grad_(False)
    with watch(model) as monitor:
        plain(model, x, y)
        monitor.step()
    frame = monitor.frame()
    assert frame["frozen"].tolist() == [True, False, False, False]
    assert frame["dw_rms"].isna().tolist() == [True, False, False, False]
    assert monitor.coverage()["why"].eq("").all()


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
        plain(model, x, y)
        monitor.step()
    why = monitor.coverage().set_index("name")["why"]
    assert why["attention"] == why["head"] == ""
    assert why["attention.out_proj"] == "its weights are used without calling it"
    assert why["spare"] == "never called"
    assert why["lost"] == "called, but no loss depends on what it put out"


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


def test_sparse_gradients_and_parametrized_weights():
    model = nn.Sequential(
        nn.Embedding(20, 8, sparse=True), nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Linear(8, 20)
    )
    x = torch.randint(20, (30,))
    with watch(model) as monitor:
        F.cross_entropy(model(x), x).backward()
        monitor.step()
    frame = monitor.frame()
    assert frame["name"].tolist() == ["0", "1", "2"]
    dense = model[0].weight.grad.to_dense()
    assert frame["dw_rms"][0] * math.sqrt(20 * 8) == pytest.approx(float(dense.norm()), rel=1e-5)


def test_saved_tables_can_be_read(tmp_path):
    monitor = train(mlp(), True, steps=3)
    frame = monitor.frame()
    pd.testing.assert_frame_equal(pd.read_parquet(monitor.save(tmp_path / "new" / "t.parquet")), frame)
    assert len(pd.read_csv(monitor.save(tmp_path / "t.csv"))) == len(frame) == 12
    assert '"verdict"' in monitor.save(tmp_path / "t.json").read_text()
    assert len(monitor.plot().figure.axes) == 3


def test_the_public_names_are_these():
    assert vgexp.watch is watch
    assert vgexp.diagnose.__code__.co_filename.endswith("checkup.py")


@pytest.mark.parametrize("phi", [nn.Tanh, nn.ReLU])
def test_an_empty_batch_has_no_moments(phi):
    model = nn.Sequential(nn.Linear(4, 4), phi(), nn.Linear(4, 2))
    with watch(model, every=1) as monitor:
        model(torch.zeros(0, 4)).sum().backward()
        monitor.step()
    assert monitor.frame()[["h_mean", "h_std"]].isna().all(axis=None)
