"""What is said to be needed, against networks that are there; what cannot fit is refused at once."""

from dataclasses import replace

import pytest
import torch
from samples import small

from vgexp.config.errors import ConfigError
from vgexp.costs import memory
from vgexp.costs.forecast import counted
from vgexp.costs.memory import need, require_memory, si, sizes
from vgexp.data.datasets import BLOCK, Dataset, dataset
from vgexp.networks.building import blueprints, weight_bytes
from vgexp.networks.families import FAMILIES
from vgexp.training.stack import Stack

GB = 10**9


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("branch_layers", [1, 2])
def test_sizes_of_deep_networks_are_those_of_their_parts(family, branch_layers):
    normed = {"model__norm": "batch"} if "model.norm" in (FAMILIES[family].reads or ()) else {}
    for depth in (1, 2, 5, 8, 9, 40):
        run = small(
            model__family=family, model__branch_layers=branch_layers, model__depth=depth, model__width=10, **normed
        )
        parts = blueprints(run, 64, 10)
        matrices = [part for part in parts if part.is_matrix]
        found = sizes(run, 64, 10)
        assert found.parts == len(parts)
        assert found.entries == sum(part.entries for part in parts)
        assert found.kept == sum(part.fan_in for part in matrices[1:])
        assert found.largest == max(part.fan_in * part.fan_out for part in matrices)
        assert found.widest == max(part.fan_out for part in parts)
        assert need(run, dataset(run.data)).each["weights"] == weight_bytes(run, 64, 10, 0)


def test_sizes_of_layers_of_different_widths():
    found = sizes(small(model__depth=8, model__width=[3, 9, 4, 8, 3, 5, 5, 7]), 64, 10)
    assert (found.widest, found.largest, found.parts) == (10, 3 * 64, 9)


def test_a_million_layers_are_sized_from_a_few(monkeypatch):
    asked = []
    monkeypatch.setattr(memory, "blueprints", lambda run, *of: asked.append(run) or blueprints(run, *of))
    assert sizes(small(model__depth=10**6), 64, 10).parts == 10**6 + 1
    assert sum(run.model.depth for run in asked) < 30


@pytest.mark.parametrize("mode", [("store", "sqrt"), ("checkpoint", "sqrt"), ("checkpoint", "revolve(4)")])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "softsign"])
@pytest.mark.parametrize("family", ["plain", "residual", "highway"])
def test_activations_lie_between_the_least_and_the_generous_estimate(family, activation, mode):
    run = small(
        model__family=family, model__activation=activation, model__depth=60, model__width=32, data__batch_size=64
    )
    run = replace(run, memory=mode[0], checkpoint=replace(run.checkpoint, every=mode[1]))
    live, data = counted(run, 64, 10).live_bytes, dataset(run.data)
    assert need(run, data).each["activations"] <= live
    if mode[1] == "sqrt":
        assert live <= 1.5 * need(run, data, memory.GENEROUS).each["activations"]


def test_the_batches_of_a_block_are_counted():
    run = small()
    runs = [replace(run, seed=seed) for seed in range(3)]
    stack = Stack(runs)
    stack.stream.batch(0)
    held = stack.stream._x_SKI.nbytes + stack.stream._y_SK.nbytes
    assert held <= 3 * need(run, dataset(run.data)).each["batches"] <= 3 * held
    endless = small(data__name="shapeset", data__batch_size=10**6)
    assert need(endless, dataset(endless.data)).each["batches"] > 2 * 10**6 * 1024
    assert need(small(data__name="shapeset"), dataset(endless.data)).each["batches"] < 4 * BLOCK * 1024 * 1.1


def test_runs_that_clip_need_room_for_every_gradient():
    free, clipped = (small(model__width=500, optim__clip=clip) for clip in (None, 1.0))
    data = dataset(free.data)
    gradients = 8 * sum(part.entries for part in blueprints(free, 64, 10))
    weights = [need(run, data).each["weights"] for run in (free, clipped)]
    assert weights[1] - weights[0] == gradients
    assert memory.largest_stack(clipped, data, 1e9) < memory.largest_stack(free, data, 1e9)
    budget = need(free, data).of(1)
    require_memory(free, data, 1, budget, 1)
    with pytest.raises(ConfigError, match="accepts at most"):
        require_memory(clipped, data, 1, budget, 1)


def test_evaluation_counts_where_there_is_one():
    data = dataset(small().data)
    never, end = small(), small(eval__every="end")
    assert need(never, data).each["evaluation"] == 0 < need(end, data).each["evaluation"]
    assert need(end, data).of(1) > need(never, data).of(1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__width": 10**9}, "model.width: got 1000000000, accepts at most 14000 with .* 36 EB, "),
        ({"model__depth": 10**6, "model__width": 500}, "model.depth: got 1000000, accepts at most 7700 .* for weights"),
        ({"model__depth": 10**8, "model__width": 1}, "model.depth: got 100000000, accepts at most .* for layers"),
        ({"model__width": [10**6] * 3}, r"model.width: got \[1000000, .* accepts layers of at most 14000 "),
        ({"data__name": "shapeset", "data__batch_size": 10**9}, "data.batch_size: got 1000000000, .* for batches"),
        ({"model__family": "dense", "model__growth": 10**6}, "model.growth: got 1000000, accepts at most "),
        ({"model__family": "residual", "model__branch_layers": 2, "model__width": 10**7}, "model.width: .* at most"),
        ({"steps": 10**9, "probe__every": 1}, "probe.every: got 1, accepts every [0-9]+ steps or rarer .* records"),
        (
            {"steps": 10**6, "probe__tier": "full", "probe__histograms": 10, "probe__every": "log"},
            "probe.histograms: got 10, accepts every [0-9]+ steps or rarer .* records",
        ),
    ],
)
def test_what_cannot_fit_is_refused_with_what_would(changes, message):
    run = small(**({"dtype": "float32"} | changes))
    with pytest.raises(ConfigError, match=f"^{message}.* of the 8 GB here$") as raised:
        require_memory(run, dataset(run.data), 1, 8 * GB, 1)
    assert "\n" not in str(raised.value)


def test_what_would_fit_does():
    run = small(model__width=10**9)
    with pytest.raises(ConfigError, match="at most ") as raised:
        require_memory(run, dataset(run.data), 1, 8 * GB, 1)
    most = int(str(raised.value).split("at most ")[1].split()[0])
    require_memory(small(model__width=most), dataset(run.data), 1, 8 * GB, 1)
    with pytest.raises(ConfigError, match="at most"):
        require_memory(small(model__width=int(1.1 * most)), dataset(run.data), 1, 8 * GB, 1)


def test_what_is_deep_and_small_fits():
    run = small(model__depth=10**5, model__width=10, steps=0)
    require_memory(run, dataset(run.data), 1, 8 * GB, 1)


def test_jobs_share_the_memory_and_stacks_have_members():
    run = small(model__width=5000, max_members=99)
    data = dataset(run.data)
    require_memory(run, data, 1, 8 * GB, 1)
    with pytest.raises(ConfigError, match=r"model.width: got 5000, .* of the 8 GB here, for 8 jobs at once$"):
        require_memory(run, data, 1, 8 * GB, 8)
    with pytest.raises(ConfigError, match=r"^max_members: got 99, accepts at most 1[0-9]: "):
        require_memory(run, data, 20, 8 * GB, 1)


def test_data_that_fit_nowhere():
    run = small()
    images = torch.zeros(2, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.long)
    huge = Dataset(10**9, 10, 1, lambda *_: images, lambda: images, lambda: images, size=1000)
    with pytest.raises(ConfigError, match=r"^data.name: got 'digits', accepts data that fit: "):
        require_memory(run, huge, 1, 8 * GB, 1)


def test_quantities_with_their_prefix():
    assert [si(value, "B") for value in (1, 2.5e3, 4e15, 4.8e19)] == ["1 B", "2.5 kB", "4 PB", "48 EB"]
