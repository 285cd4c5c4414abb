import pytest
import torch

from vgexp.config.errors import ConfigError
from vgexp.config.fields import DataConfig
from vgexp.data.datasets import DATASETS, dataset


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


def test_a_batch_larger_than_the_training_set():
    with pytest.raises(ConfigError, match=r"data.batch_size: got 1198, accepts at most 1197 \(digits\)"):
        dataset(DataConfig(name="digits", batch_size=1198))
