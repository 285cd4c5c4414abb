"""Forecasts against the ledger of a network that is there."""

import pytest
from samples import small

from vgexp.config import ConfigError
from vgexp.costs.counting import ledger
from vgexp.costs.forecast import counted, forecast, largest_depth, live_bytes
from vgexp.networks.building import weight_bytes

MODES = [
    ("plain", "store", "sqrt"),
    ("plain", "checkpoint", "sqrt"),
    ("plain", "checkpoint", 5),
    ("plain", "checkpoint", "revolve(4)"),
    ("reversible", "store", "sqrt"),
    ("reversible", "checkpoint", "sqrt"),
    ("reversible", "checkpoint", "revolve(3)"),
    ("reversible", "invert", "sqrt"),
]


def run(family, memory, every, depth, **changes):
    named = {"model__family": family, "memory": memory, "checkpoint__every": every, "model__depth": depth}
    return small(**named, data__batch_size=64, model__width=32, steps=0, probe__every="never", **changes)


@pytest.mark.parametrize(("family", "memory", "every"), MODES)
@pytest.mark.parametrize("depth", [30, 110])
def test_flops_are_exact_and_bytes_within_two_per_cent(family, memory, every, depth, train_all):
    training = train_all(run(family, memory, every, depth))
    measured = ledger(training.stack.network, *training.stack.stream.batch(0), training.stack.new_optimizer)
    row = forecast(training.run, 64, 10).set_index("memory").loc[memory]
    assert (row["forward_flops"], row["backward_flops"]) == (measured.forward_flops, measured.backward_flops)
    assert row["live_bytes"] == pytest.approx(measured.live_bytes, rel=0.02)


@pytest.mark.parametrize(("family", "memory", "every"), MODES)
@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_what_is_kept_from_step_to_step_is_not_alive_in_one(family, memory, every, optimizer, clip, train_all):
    """Slots and gradients that are kept count as weights, hence not among what a step makes and drops."""
    changes = {"optim__name": optimizer, "optim__clip": clip, "optim__weight_decay": 0.1, "optim__warmup": 3}
    training = train_all(run(family, memory, every, 30, **changes))
    measured = ledger(training.stack.network, *training.stack.stream.batch(0), training.stack.new_optimizer)
    row = forecast(training.run, 64, 10).set_index("memory").loc[memory]
    assert (row["forward_flops"], row["backward_flops"]) == (measured.forward_flops, measured.backward_flops)
    assert row["live_bytes"] == pytest.approx(measured.live_bytes, rel=0.02)
    plain = train_all(run(family, memory, every, 30))
    alone = ledger(plain.stack.network, *plain.stack.stream.batch(0), plain.stack.new_optimizer).live_bytes
    assert measured.live_bytes == pytest.approx(alone, rel=0.25)


@pytest.mark.parametrize("memory", ["store", "checkpoint"])
def test_layers_of_different_widths(memory, train_all):
    training = train_all(small(memory=memory, model__depth=5, model__width=[48, 8, 24, 8, 40], steps=0))
    measured = ledger(training.stack.network, *training.stack.stream.batch(0), training.stack.new_optimizer)
    row = forecast(training.run, 64, 10).set_index("memory").loc[memory]
    assert (row["backward_flops"], row["live_bytes"]) == (measured.backward_flops, measured.live_bytes)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_weights_are_counted_with_what_is_kept_beside_them(optimizer, clip, train_all):
    """Slots, scratch, and every gradient at once where it is clipped."""
    training = train_all(run("plain", "store", "sqrt", 5, optim__name=optimizer, optim__clip=clip))
    stack = training.stack
    stack.step(*stack.stream.batch(0))
    layers = stack.network.matrices
    held = [tensor for layer in layers for tensor in (layer.weight_MIO, layer.bias_M1O)]
    held += [*stack.optimizer.held[:-1], *layers[0].scratch.values()]  # without the norms
    found = forecast(training.run, 64, 10)["weight_bytes"].unique()
    assert found == [sum(tensor.numel() * 8 for tensor in held)]
    gradients = sum(tensor.numel() * 8 for layer in layers for tensor in layer.tensors.values())
    without = weight_bytes(training.run, 64, 10, len(stack.optimizer.slots))
    assert found - without == (gradients if clip else 0)


def test_the_largest_depth_fits_and_one_more_does_not():
    for family, memory, every in MODES:
        one = run(family, memory, every, 10)
        live, budget = live_bytes(one, 64, 10), 3e6
        deepest = largest_depth(one, 64, 10, live, budget)
        fits = [
            weight_bytes(run(family, memory, every, d), 64, 10, 0) + live(d) <= budget for d in (deepest, deepest + 1)
        ]
        assert fits == [True, False]
    assert largest_depth(one, 64, 10, live, 1000) == 0


def test_a_budget_where_layers_grow_with_the_depth_is_refused():
    with pytest.raises(ConfigError, match=r"^--budget: .*dense network"):
        forecast(small(model__family="dense"), 64, 10, 8e9)


@pytest.mark.parametrize("snapshots", [3, 20, 50, 100])
def test_snapshots_take_memory_as_far_as_there_are_layers_for_them(snapshots):
    """Also at depths between and beyond those that the closed form is fitted to."""
    for depth in (3, 8, 23, 40, 120):
        run = small(model__depth=depth, memory="checkpoint", checkpoint__every=f"revolve({snapshots})")
        found = live_bytes(run, 64, 10)(depth)
        assert found == pytest.approx(counted(run, 64, 10).live_bytes, rel=0.02), depth
