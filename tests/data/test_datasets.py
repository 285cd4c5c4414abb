import pytest
import torch

from vgexp.config.fields import ConfigError, DataConfig
from vgexp.data.datasets import DATASETS, dataset
from vgexp.data.streams import Stream


def stream(name="digits", batch_size=7, seeds=(0, 1), pixels=(0.0, 1.0)):
    return Stream(
        DataConfig(name=name, batch_size=batch_size, range=list(pixels)),
        seeds,
        torch.float64,
        torch.device("cpu"),
    )


def test_digits_are_split_without_overlap():
    data = DATASETS["digits"]()
    train = data.train(0, 0, 1)
    parts = [train, data.valid(), data.test()]
    assert [len(part[1]) for part in parts] == [1197, 300, 300]
    from sklearn.datasets import load_digits

    total = sum(int(part[0].long().sum()) for part in parts)
    assert total == int(load_digits().data.sum())


def test_each_pass_over_digits_sees_every_example_once():
    data = DATASETS["digits"]()
    first, second = data.train(0, 0, 1), data.train(0, 1, 1)
    assert first[0].long().sum() == second[0].long().sum()
    assert not torch.equal(first[1], second[1])


@pytest.mark.parametrize("name", ["shapeset", "digits"])
def test_batches_are_a_function_of_seed_and_step(name):
    steps = [0, 700, 3, 1500, 3]  # over blocks and back
    one, other = stream(name), stream(name)
    for step in steps:
        for a, b in zip(one.batch(step), other.batch(step), strict=True):
            assert torch.equal(a, b)
    x, y = one.batch(3)
    alone_x, alone_y = stream(name, seeds=(1,)).batch(3)
    assert torch.equal(x[1], alone_x[0])
    assert torch.equal(y[1], alone_y[0])


def test_pixel_range():
    x = stream(pixels=(-1.0, 1.0)).monitor()[0]
    assert float(x.min()) == -1
    assert float(x.max()) == 1
    y = stream().monitor()[0]
    torch.testing.assert_close(x, 2 * y - 1)


def test_monitor_is_the_first_300_test_examples():
    s = stream("shapeset")
    assert torch.equal(s.monitor()[0][1], s.test()[0][0, :300])
    assert len(s.valid()[1][0]) == len(s.test()[1][0]) == 10_000


def test_a_batch_larger_than_the_training_set():
    with pytest.raises(ConfigError, match=r"data.batch_size: got 1198, accepts at most 1197 \(digits\)"):
        dataset(DataConfig(name="digits", batch_size=1198))
