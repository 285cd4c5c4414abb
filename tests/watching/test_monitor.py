import gc

import pandas as pd
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader
from watched import agree, backpropagate, batch, by_hand, examples, hooks, linears, mlp, rms, train

import vgexp
from vgexp.watching.hooks.refusals import Unsupported
from vgexp.watching.monitor import RECENT, watch


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


def test_of_several_optimizers_one_may_be_unscaled():
    """As where one of them clips its gradients and the other does not."""
    model, (x, y) = mlp(), batch()
    scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    lower, upper = (torch.optim.SGD(half.parameters(), 0.1) for half in (model[:4], model[4:]))
    with watch(model, scaler=scaler, optimizer=[lower, upper]) as monitor:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.unscale_(upper)
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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_accelerate():
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    bare = mlp()
    model, optimizer, loader = accelerator.prepare(
        bare, torch.optim.SGD(bare.parameters(), 0.1), DataLoader(examples(), batch_size=8)
    )
    expected = by_hand(linears(bare), *examples()[:8])
    with watch(model, every=1, scaler=accelerator.scaler) as monitor:
        for x, y in loader:
            accelerator.backward(F.cross_entropy(model(x), y))
            monitor.step()
            accelerator.clip_grad_norm_(model.parameters(), 1e-6)
            optimizer.step()
            optimizer.zero_grad()
    frame = monitor.frame()
    agree(frame[frame["step"] == 0], expected)
    assert frame["step"].unique().tolist() == [0, 1, 2]


def test_weights_used_without_their_modules_are_refused():
    model, (x, y) = mlp(), batch()
    with watch(model) as monitor:
        h = x
        for layer in linears(model):
            h = F.linear(h, layer.weight, layer.bias)
        F.cross_entropy(h, y).backward()
        with pytest.raises(Unsupported, match="compiled before it was watched"):
            monitor.step()


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


@pytest.mark.parametrize("quantities", ["all", "gradients"])
@pytest.mark.parametrize("phi", [nn.Tanh, lambda: nn.ReLU(inplace=True), nn.GELU])
def test_weights_are_bitwise_those_of_an_unwatched_training(phi, quantities):
    watched, bare = mlp(phi), mlp(phi)
    train(watched, True, quantities=quantities)
    train(bare, False)
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), bare.parameters(), strict=True))


def test_hooks_are_there_on_recorded_steps_only():
    model = mlp()
    with watch(model, every=[1]) as monitor:
        assert hooks(model) == 0
        monitor.step()
        assert hooks(model) > 0
        backpropagate(model, *batch())
        monitor.step()
        assert hooks(model) == 0
    assert monitor.frame()["step"].unique().tolist() == [1]


def test_a_monitor_that_nothing_holds_leaves_the_model():
    model, (x, y) = mlp(), batch()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    monitor = watch(model, optimizer=optimizer)
    backpropagate(model, x, y)
    monitor.step()
    assert hooks(model) > 0
    del monitor
    gc.collect()
    assert hooks(model) == 0 and not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
    watch(model).close()


def test_the_default_schedule_is_sparse():
    model = mlp()
    monitor = train(model, True, steps=30, every="log")
    assert monitor.frame()["step"].unique().tolist() == [0, 1, 2, 3, 4, 6, 10, 16, 25]


def test_gradients_alone():
    model, (x, y) = mlp(), batch()
    with watch(model, quantities="gradients") as monitor:
        backpropagate(model, x, y)
        monitor.step()
    frame = monitor.frame()
    agree(frame, by_hand(linears(model), x, y), ("dz_rms", "dw_rms"))
    assert frame[["z_rms", "h_mean", "saturation", "w_rms"]].isna().all(axis=None)


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


def test_old_steps_keep_their_numbers_only():
    monitor = train(mlp(nn.ReLU), True, steps=6)
    calls = [len(observation.calls) for observation in monitor._observations]
    assert calls == [0] * (6 - RECENT) + [4] * RECENT
    assert all(observation.identities is monitor._observations[0].identities for observation in monitor._observations)
    assert len(monitor.frame()) == 24 and monitor.diagnosis().step == 5


def test_a_monitor_is_shown_in_one_line_and_in_notebooks_with_its_first_layers():
    """Also before anything is recorded, and whatever a module calls itself."""
    model = nn.ModuleDict({"<b>": mlp(depth=12)})
    type_named = type("Net<b>", (nn.Module,), {"forward": lambda self, x: self.inner["<b>"](x)})()
    type_named.inner = model
    with watch(type_named, every=2) as monitor:
        assert repr(monitor) == "Monitor(Net<b>: 13 layers, 0 of 0 steps recorded)"
        assert "0 of 0 steps" in monitor._repr_html_()
        for step in range(5):
            backpropagate(type_named, *batch(seed=step))
            monitor.step()
    assert repr(monitor) == "Monitor(Net<b>: 13 layers, 3 of 5 steps recorded)"
    shown = monitor._repr_html_()
    assert shown.count("<tr") == 11 and "inner.&lt;b&gt;.0" in shown and "<b>" not in shown
    assert f"{monitor.frame().query('step == 4')['dz_rms'].iloc[0]:.3g}" in shown


def test_what_is_frozen_is_read_when_a_step_is_recorded():
    """As where two optimizers take turns and each freezes what the other trains, or layers are thawed one by one."""
    model, (x, y) = mlp(), batch()
    halves = linears(model)[:2], linears(model)[2:]
    with watch(model, every=1) as monitor:
        for step in range(4):
            for half, on in zip(halves, (step % 2 == 0, step % 2 == 1), strict=True):
                for layer in half:
                    layer.requires_grad_(on)
            backpropagate(model, x, y)
            monitor.step()
            diagnosis = monitor.diagnosis()
            for layer in linears(model):
                layer.requires_grad_(True)  # when it is asked for, all of it requires a gradient
            assert "disconnected" not in [finding.kind for finding in monitor.diagnosis().findings], step
            assert "disconnected" not in [finding.kind for finding in diagnosis.findings], step
            model.zero_grad()
    frozen = monitor.frame().pivot(index="step", columns="name", values="frozen")
    assert frozen["0"].tolist() == [False, True, False, True] and frozen["6"].tolist() == [True, False, True, False]


def test_a_layer_that_is_thawed_and_gets_nothing_is_disconnected():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.spare = mlp(), nn.Linear(5, 5)

        def forward(self, x):
            return self.body(x)

    model, (x, y) = Two(), batch()
    model.spare.requires_grad_(False)
    with watch(model, every=1) as monitor:
        for thawed in (False, True):
            model.spare.requires_grad_(thawed)
            backpropagate(model, x, y)
            monitor.step()
            assert (monitor.diagnosis().verdict == "disconnected") is thawed


class Adapted(nn.Module):
    """A frozen layer and a product of two small matrices beside it, the second of which starts at 0."""

    def __init__(self, width=32):
        super().__init__()
        self.frozen = nn.Linear(width, width).requires_grad_(False)
        self.down, self.up = nn.Linear(width, 2, bias=False), nn.Linear(2, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.frozen(x) + self.up(self.down(x))


@pytest.mark.parametrize("lr", [1e-4, 1e-3])
def test_a_gate_that_is_opening_is_no_fault(lr):
    """As in LoRA, for as long as its second factor grows."""
    torch.manual_seed(0)
    model = nn.Sequential(Adapted(), nn.ReLU(), Adapted(), nn.ReLU(), nn.Linear(32, 5).requires_grad_(False))
    x, y = torch.randn(32, 32), torch.randint(5, (32,))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
    with watch(model) as monitor:
        for step in range(30):
            F.cross_entropy(model(x), y).backward()
            monitor.step()
            found = monitor.diagnosis()
            assert not found.findings
            assert step < 1 or any("started at 0 and is opening" in note for note in found.notes)
            optimizer.step()
            optimizer.zero_grad()
