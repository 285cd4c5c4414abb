"""A reversible network rebuilds what it did not store."""

import numpy as np
import pytest
import torch
from samples import small


def reversible(**changes):
    return small(model__family="reversible", **{"model__depth": 7, **changes})


def test_forward_is_the_coupling_written_out(train_all):
    training = train_all(reversible(steps=0, model__branch=0.5))
    x_MBI, _ = training.stack.stream.batch(0)
    first, *couplings, readout = training.stack.network.matrices
    a, b = torch.tanh(x_MBI @ first.weight_MIO).chunk(2, -1)
    for layer in couplings:
        a, b = b, a + 0.5 * torch.tanh(b @ layer.weight_MIO)
    expected = torch.cat([a, b], -1) @ readout.weight_MIO
    torch.testing.assert_close(training.stack.network(x_MBI), expected.detach(), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_training_inverted_is_training_stored(optimizer, train_all):
    """Gradients agree to rounding, so that weights after a few updates do."""
    runs = {"optim__name": optimizer, "probe__tier": "full", "model__branch": 0.5, "steps": 5}
    stored, inverted = train_all(reversible(**runs)), train_all(reversible(memory="invert", **runs))
    for a, b in zip(stored.stack.network.matrices, inverted.stack.network.matrices, strict=True):
        torch.testing.assert_close(a.weight_MIO, b.weight_MIO, rtol=1e-9, atol=1e-11)
    tables = stored.records.tables(), inverted.records.tables()
    for name in ("dz_rms", "dw_rms", "z_rms", "h_std"):
        np.testing.assert_allclose(tables[0]["layers"][name], tables[1]["layers"][name], rtol=1e-9)


def test_a_stack_is_its_members(train_all):
    members = [reversible(memory="invert", seed=seed) for seed in (0, 1)]
    together = train_all(*members)
    for m, member in enumerate(members):
        for a, b in zip(together.stack.network.matrices, train_all(member).stack.network.matrices, strict=True):
            torch.testing.assert_close(a.weight_MIO[m], b.weight_MIO[0], rtol=1e-12, atol=1e-12)


def test_the_error_of_rebuilding_is_recorded_and_grows_downwards(train_all):
    runs = {"memory": "invert", "probe__tier": "full", "dtype": "float32", "steps": 0}
    layers = train_all(reversible(model__depth=40, init__name="he", model__activation="relu", **runs)).records.tables()
    error = layers["layers"].set_index("layer")["rebuild_error"]
    assert error[[1, 41]].isna().all()  # the first layer and the readout rebuild nothing
    assert error[2] > 100 * error[35] > 0


def test_recording_changes_nothing(train_all):
    runs = {"memory": "invert", "steps": 4}
    bare, watched = (train_all(reversible(probe__every=every, **runs)) for every in ("never", 1))
    for a, b in zip(bare.stack.network.matrices, watched.stack.network.matrices, strict=True):
        assert torch.equal(a.weight_MIO, b.weight_MIO)
