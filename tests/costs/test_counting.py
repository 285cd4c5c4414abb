"""Counts on the meta device against the same counts on a step that really runs."""

import pytest
from samples import small

from vgexp.costs.counting import ledger
from vgexp.costs.live import LiveBytes

MODES = [
    ("plain", "store", "sqrt"),
    ("plain", "checkpoint", "sqrt"),
    ("plain", "checkpoint", 3),
    ("plain", "checkpoint", "revolve(4)"),
    ("reversible", "store", "sqrt"),
    ("reversible", "checkpoint", "sqrt"),
    ("reversible", "invert", "sqrt"),
]
UNIT = 48 * 12 * 8
"""Bytes of one layer's activations."""


def run(family, memory, every, depth, **changes):
    return small(
        model__family=family,
        memory=memory,
        checkpoint__every=every,
        model__depth=depth,
        data__batch_size=48,
        probe__every="never",
        **changes,
    )


def counted(training):
    return ledger(training.stack.network, *training.stack.stream.batch(0), training.stack.new_optimizer)


@pytest.mark.parametrize(("family", "memory", "every"), MODES)
def test_live_bytes_are_those_of_a_step_that_runs(family, memory, every, train_all):
    training = train_all(run(family, memory, every, depth=9, steps=1))
    layers = training.stack.network.matrices
    batch = training.stack.stream.batch(2)
    known = [*batch, *layers[0].scratch.values(), *(p for layer in layers for p in (layer.weight_MIO, layer.bias_M1O))]
    with LiveBytes(known) as live:
        training.stack.backpropagate(*batch, None, training.stack.optimizer)
    assert live.peak == counted(training).live_bytes


def peak(family, memory, every, depth, train_all):
    return counted(train_all(run(family, memory, every, depth, steps=0))).live_bytes / UNIT


def test_memory_grows_as_the_textbook_says(train_all):
    """From 16 layers to 64: by 48 activations stored, by 2 sqrt(64) - 2 sqrt(16) with segments, by none inverted."""

    def growth(family, memory, every="sqrt"):
        return peak(family, memory, every, 64, train_all) - peak(family, memory, every, 16, train_all)

    assert growth("plain", "store") == pytest.approx(48, rel=1e-12)
    assert growth("plain", "checkpoint") == pytest.approx(8, rel=1e-12)
    assert growth("plain", "checkpoint", "revolve(5)") == growth("reversible", "invert") == 0


def test_inference_needs_the_most_demanding_layer_only(train_all):
    """Its input, its preactivation and its output, whatever the depth."""
    costs = [counted(train_all(run("plain", "store", "sqrt", depth, steps=0))) for depth in (8, 32)]
    assert costs[0].inference_bytes == costs[1].inference_bytes == 3 * UNIT


def test_the_backward_pass_costs_twice_the_forward(train_all):
    """Two products to one, but for the first layer, which sends nothing down."""
    costs = counted(train_all(run("plain", "store", "sqrt", 9, steps=0)))
    first = 2 * 48 * 64 * 12
    assert costs.backward_flops == 2 * costs.forward_flops - first
    again = counted(train_all(run("plain", "checkpoint", 3, 9, steps=0)))
    hidden = first + 8 * 2 * 48 * 12 * 12
    assert again.backward_flops == costs.backward_flops + hidden


def test_inverting_costs_one_more_forward_pass_of_the_couplings(train_all):
    stored, inverted = (
        counted(train_all(run("reversible", memory, "sqrt", 9, steps=0))) for memory in ("store", "invert")
    )
    couplings = 8 * 2 * 48 * 6 * 6
    assert inverted.backward_flops - stored.backward_flops == couplings


def test_the_timeline_rises_and_falls(train_all):
    costs = counted(train_all(run("plain", "store", "sqrt", 9, steps=0)))
    assert max(costs.timeline) == costs.live_bytes
    assert costs.timeline[0] == costs.timeline[-1] == 0
    assert costs.timeline[costs.backward_at] > 9 * UNIT


def test_totals_are_in_the_table_of_runs(train_all):
    training = train_all(small(steps=0, probe__tier="cost"), small(steps=0, probe__tier="cost", seed=1))
    rows = training.saves.runs_rows(1, training.records.tables(), "done")
    assert list(rows["forward_flops"]) == [2 * 6 * (64 * 12 + 2 * 12 * 12 + 12 * 10)] * 2
    assert (rows[["live_bytes", "inference_bytes"]] > 0).all(axis=None)


def test_flops_are_exact_and_saved_bytes_those_of_the_graph(train_all):
    """Square layers: forward 2BNN, two products of that size backward; the first layer sends nothing down."""
    run = small(steps=0, probe__tier="cost", dtype="float32")
    table = train_all(run, small(steps=0, probe__tier="cost", dtype="float32", seed=1)).records.tables()["layers"]
    table = table[table["run"] == table["run"].iloc[0]].set_index("layer")
    batch, shapes = 6, [(64, 12), (12, 12), (12, 12), (12, 10)]
    for layer, (fan_in, fan_out) in enumerate(shapes, start=1):
        products = 2 if layer == 1 else 3
        assert table.loc[layer, "flops"] == products * 2 * batch * fan_in * fan_out
    # tanh saves its output, which the next linear layer saves too: counted once; the input batch is layer 1's.
    assert table.loc[1, "saved_bytes"] == 4 * batch * (64 + 12)
    assert table.loc[2, "saved_bytes"] == table.loc[3, "saved_bytes"] == 4 * batch * 12
    assert table.loc[4, "saved_bytes"] == 0
    assert (table[["forward_ms", "backward_ms"]] > 0).all(axis=None)


@pytest.mark.parametrize("batch_size", [1, 6])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_the_ledger_counts_the_update_inside_the_backward(batch_size, optimizer, train_all):
    training = train_all(small(steps=0, data__batch_size=batch_size, optim__name=optimizer))
    books = ledger(training.stack.network, *training.stack.stream.batch(0), training.stack.new_optimizer)
    assert books.parts[2, ""]["flops"] == 3 * 2 * batch_size * 12 * 12
