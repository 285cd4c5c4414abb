"""A batch is a function of seed and step, whatever was asked for before."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgexp.config.fields import DataConfig
from vgexp.data.datasets import DATASETS
from vgexp.data.streams import Stream


def stream(name="digits", batch_size=7, seeds=(0, 1), pixels=(0.0, 1.0), dtype=torch.float64):
    return Stream(
        DataConfig(name=name, batch_size=batch_size, range=list(pixels)), list(seeds), dtype, torch.device("cpu")
    )


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@settings(max_examples=20)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6), st.integers(1, 300))
def test_a_batch_does_not_depend_on_the_batches_before(steps, batch_size):
    used = stream(batch_size=batch_size)
    for step in steps:
        assert same(used.batch(step), stream(batch_size=batch_size).batch(step))


def test_an_endless_data_set_too():
    used = stream("shapeset")
    for step in (0, 700, 3, 1500, 3):  # over blocks and back
        assert same(used.batch(step), stream("shapeset").batch(step))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.integers(0, 400))
def test_a_member_sees_the_batches_of_its_seed(seeds, step):
    x_MBI, y_MB = stream(seeds=seeds).batch(step)
    assert x_MBI.shape == (len(seeds), 7, 64) and y_MB.shape == (len(seeds), 7)
    for m, seed in enumerate(seeds):
        alone_x_1BI, alone_y_1B = stream(seeds=[seed]).batch(step)
        assert torch.equal(x_MBI[m], alone_x_1BI[0])
        assert torch.equal(y_MB[m], alone_y_1B[0])


def test_other_seeds_and_other_steps_see_other_batches():
    s = stream(seeds=(0, 1, 0))
    x_MBI, _ = s.batch(5)
    assert torch.equal(x_MBI[0], x_MBI[2])
    assert not torch.equal(x_MBI[0], x_MBI[1])
    assert not torch.equal(x_MBI, s.batch(6)[0])


def test_a_pass_shows_every_example_at_most_once():
    s, steps = stream(batch_size=100, seeds=(3,)), 1197 // 100
    seen = torch.cat([s.batch(step)[0][0] for step in range(steps)])
    kept = DATASETS["digits"]().train(3, 0, 100)[0]
    assert torch.equal(seen, kept.double() / 16)
    assert not torch.equal(s.batch(steps)[0][0], seen[:100])  # the next pass, in another order


def test_pixels_lie_in_the_range_that_is_asked_for():
    x = stream(pixels=(-1.0, 1.0)).monitor()[0]
    assert (float(x.min()), float(x.max())) == (-1, 1)
    torch.testing.assert_close(x, 2 * stream().monitor()[0] - 1)
    assert stream(dtype=torch.float32).batch(0)[0].dtype == torch.float32


@pytest.mark.parametrize(("name", "held_out"), [("shapeset", 10_000), ("digits", 300)])
def test_the_fixed_examples_are_the_same_for_every_member(name, held_out):
    s = stream(name)
    assert s.valid()[0].shape[:2] == s.test()[0].shape[:2] == (1, held_out)
    monitored_MKI, classes_MK = s.monitor()
    for m in range(2):
        assert torch.equal(monitored_MKI[m], s.test()[0][0, :300])
        assert torch.equal(classes_MK[m], s.test()[1][0, :300])


def test_cotangents_are_gaussian_and_a_function_of_seed_and_step():
    s = stream(seeds=(0, 1, 0))
    xi_MBC = s.cotangent(4, 500, 10)
    assert torch.equal(xi_MBC[0], xi_MBC[2]) and not torch.equal(xi_MBC[0], xi_MBC[1])
    assert torch.equal(xi_MBC[1], stream(seeds=(1,)).cotangent(4, 500, 10)[0])
    assert not torch.equal(xi_MBC, s.cotangent(5, 500, 10))
    # 5000 draws: mean and variance within five standard errors.
    assert abs(float(xi_MBC[0].mean())) < 5 / 5000**0.5
    assert abs(float(xi_MBC[0].var()) - 1) < 5 * (2 / 5000) ** 0.5
