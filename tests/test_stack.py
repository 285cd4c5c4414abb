"""The golden test: a stack of M is M stacks of one, and recording changes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import small

from vgexp.networks.initializers import INITIALIZERS
from vgexp.networks.optimizers import OPTIMIZERS
from vgexp.training.stack import Stack


def members(**changes):
    base = small(**changes)
    return [
        replace(
            base,
            seed=seed,
            init=replace(base.init, sigma_w=sigma_w, sigma_b=0.1),
            optim=replace(base.optim, lr=lr),
        )
        for seed, sigma_w, lr in ((0, 1.0, 0.05), (0, 1.4, 0.02), (1, 1.0, 0.05), (2, 0.8, 0.1))
    ]


def assert_stack_equals_singles(train_all, runs):
    stacked = train_all(*runs)
    for m, run in enumerate(runs):
        single = train_all(run)
        for ours, alone in zip(stacked.stack.network.matrices, single.stack.network.matrices, strict=True):
            torch.testing.assert_close(ours.weight_MIO[m], alone.weight_MIO[0], atol=1e-12, rtol=1e-12)
            torch.testing.assert_close(ours.bias_M1O[m], alone.bias_M1O[0], atol=1e-12, rtol=1e-12)
        table = stacked.records.tables()["layers"].query("run == @stacked.records.runs[@m]")
        expected = single.records.tables()["layers"]
        for column in ("z_rms", "h_mean", "h_std", "dz_rms", "dw_rms", "w_rms", "update_ratio"):
            assert table[column].to_numpy() == pytest.approx(
                expected[column].to_numpy(), rel=1e-10, abs=1e-12, nan_ok=True
            )


@pytest.mark.parametrize("name", INITIALIZERS)
def test_each_initializer(name, train_all):
    assert_stack_equals_singles(train_all, members(init__name=name))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 6])
def test_each_optimizer(name, batch_size, train_all):
    assert_stack_equals_singles(train_all, members(optim__name=name, data__batch_size=batch_size))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_members_have_remedies_of_their_own(name, train_all):
    """Decay, warm-up and clip differ from member to member, and some have none."""
    remedies = [{}, {"weight_decay": 0.5}, {"warmup": 4}, {"weight_decay": 0.1, "warmup": 30}]
    for clips in ([None] * 4, [0.1, 0.3, 100.0, 1e-4]):
        runs = [
            replace(run, optim=replace(run.optim, clip=clip, **changes))
            for run, changes, clip in zip(members(optim__name=name), remedies, clips, strict=True)
        ]
        assert_stack_equals_singles(train_all, runs)


@pytest.mark.parametrize("loss", ["quadratic", "cotangent"])
def test_each_loss(loss, train_all):
    assert_stack_equals_singles(train_all, members(loss=loss, optim__lr=0.01))


@pytest.mark.parametrize("tier", ["light", "full", "cost"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 6])
@pytest.mark.parametrize("on", ["batch", "monitor"])
@pytest.mark.parametrize("clip", [None, 0.1])
def test_recording_leaves_the_weights_bitwise_equal(tier, optimizer, batch_size, on, clip, train_all):
    base = small(optim__name=optimizer, data__batch_size=batch_size, dtype="float32", steps=8)
    if clip is not None:
        base = replace(base, optim=replace(base.optim, clip=clip, weight_decay=0.1, warmup=3))
    silent = train_all(replace(base, probe=replace(base.probe, every="never", histograms="never")))
    watched = train_all(replace(base, probe=replace(base.probe, every=1, tier=tier, on=on, histograms=2)))
    for a, b in zip(silent.stack.network.matrices, watched.stack.network.matrices, strict=True):
        assert torch.equal(a.weight_MIO, b.weight_MIO)
        assert torch.equal(a.bias_M1O, b.bias_M1O)


def test_members_of_one_seed_see_the_same_batches_and_other_seeds_others(train_all):
    x, _ = train_all(*members()).stack.stream.batch(3)
    assert torch.equal(x[0], x[1])
    assert not torch.equal(x[0], x[2])


def test_weights_and_batches_are_seeded_apart(train_all):
    runs = [small(seed=seed, data__seed=batches) for seed, batches in ((0, None), (1, 0), (0, 1))]
    assert_stack_equals_singles(train_all, runs)
    x_MBI, _ = train_all(*runs).stack.stream.batch(0)
    weight_MIO = Stack(runs).network.matrices[0].weight_MIO
    assert torch.equal(x_MBI[0], x_MBI[1]) and not torch.equal(x_MBI[0], x_MBI[2])
    assert torch.equal(weight_MIO[0], weight_MIO[2]) and not torch.equal(weight_MIO[0], weight_MIO[1])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("clip", [None, 1e200])
def test_a_diverging_member_leaves_its_neighbours_alone(clip, activation, train_all):
    """Also with everything recorded, whatever a matrix that is not finite does to it."""
    full = {"probe__tier": "full", "probe__histograms": 1, "probe__spectra": 1, "model__activation": activation}
    good = small(loss="quadratic", optim__clip=clip, **full)
    bad = small(loss="quadratic", optim__lr=1e200, seed=1, optim__clip=clip, **full)
    stacked, alone = train_all(good, bad), train_all(good)
    assert stacked.stack.diverged_at_M.tolist()[0] == -1
    assert stacked.stack.diverged_at_M.tolist()[1] > 0
    for ours, single in zip(stacked.stack.network.matrices, alone.stack.network.matrices, strict=True):
        torch.testing.assert_close(ours.weight_MIO[0], single.weight_MIO[0], atol=1e-12, rtol=1e-12)
    spectra = stacked.records.tables()["spectra"].set_index("run").loc[stacked.records.runs[0]]
    expected = alone.records.tables()["spectra"]
    for ours, single in zip(spectra["singular_values"], expected["singular_values"], strict=True):
        assert np.asarray(ours) == pytest.approx(np.asarray(single), rel=1e-10, abs=1e-12)
