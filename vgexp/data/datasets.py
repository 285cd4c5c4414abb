"""Data sets: where examples come from.

The training examples of a seed come in blocks, and block k is a function of `(seed, k)`: runs of one seed see the same
batches, so that comparisons are paired, and resuming at any step needs no state. Pixels stay small integers until a
batch is used.

Legend: K images, I inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from vgexp.config import ConfigError, DataConfig, own
from vgexp.data import originals, shapeset
from vgexp.numerics import generator

MONITORED = 300
"""Number of test examples on which the layers are monitored: Glorot & Bengio (2010), section 2."""
HELD_OUT = 10_000
"""Number of images that are held out for validation; of Shapeset also for the test."""
BLOCK = 4096
"""Number of images in a block of an endless data set, rounded down to whole batches."""

Images = tuple[Tensor, Tensor]
"""Pixels (K, I) in uint8 and classes (K,)."""


@dataclass(frozen=True)
class Dataset:
    """A data set: training examples by seed and block, and fixed ones for validation and test."""

    inputs: int
    classes: int
    white: int
    """The value of a white pixel."""
    train: Callable[[int, int, int], Images]
    """(seed, block, batch_size) -> a whole number of batches."""
    valid: Callable[[], Images]
    test: Callable[[], Images]
    size: int | None = None
    """Number of training examples; None where there is no end of them."""

    def per_block(self, batch_size: int) -> int:
        """Training examples in a block: a pass over all, or whole batches of an endless data set."""
        return self.size if self.size is not None else max(1, BLOCK // batch_size) * batch_size


@dataclass(frozen=True)
class Loader:
    """How a data set is had: read or generated when a run first needs it."""

    load: Callable[[], Dataset]
    """Raises Unavailable when its files are not here."""
    version: int = 1
    """Raised when its examples change: its runs are then other runs."""

    def __call__(self) -> Dataset:
        return self.load()


def _shapeset() -> Dataset:
    def train(seed: int, block: int, batch_size: int) -> Images:
        return shapeset.images(data.per_block(batch_size), generator("batches", seed, block))

    data = Dataset(
        inputs=shapeset.PIXELS,
        classes=shapeset.CLASSES,
        white=255,
        train=train,
        valid=cache(lambda: shapeset.images(HELD_OUT, generator("valid"))),
        test=cache(lambda: shapeset.images(HELD_OUT, generator("test"))),
    )
    return data


def finite(train: Images, valid: Images, test: Images, classes: int, white: int) -> Dataset:
    """A data set in memory. Block k of a seed is its k-th pass over the training examples, each pass in an order of its
    own, without the last partial batch. `white` is the value of a white pixel."""
    return _finite(lambda: (train, valid, test), train[0].shape[1], classes, white, len(train[1]))


def _finite(
    parts: Callable[[], tuple[Images, Images, Images]], inputs: int, classes: int, white: int, size: int
) -> Dataset:
    """A data set whose training, validation and test images are read when the first of them is needed."""

    def block(seed: int, block: int, batch_size: int) -> Images:
        order = torch.randperm(size, generator=generator("batches", seed, block))[: size // batch_size * batch_size]
        x, y = parts()[0]
        return x[order], y[order]

    return Dataset(inputs, classes, white, block, lambda: parts()[1], lambda: parts()[2], size)


@cache
def _digits() -> tuple[Images, Images, Images]:
    """scikit-learn's 1797 digits of 8 x 8 pixels: 1197 for training, 300 for validation, 300 for the test."""
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=generator("split"))
    x, y = torch.from_numpy(pixels).to(torch.uint8)[order], torch.from_numpy(classes)[order]
    train, valid, test = zip(x.split([1197, 300, 300]), y.split([1197, 300, 300]), strict=True)
    return train, valid, test


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array.copy())


def _original(name: str, read: Callable[[], dict[str, originals.Arrays]]) -> Dataset:
    """MNIST or CIFAR-10: the last 10,000 training images are held out for validation. Raises Unavailable."""
    parts = read()
    (x, y), (test_x, test_y) = (tuple(map(_tensor, parts[part])) for part in ("train", "test"))
    if len(x) <= HELD_OUT:
        raise originals.Unavailable(name, f"the train set has {len(x)} images, of which {HELD_OUT} are held out")
    held_out = (x[-HELD_OUT:], y[-HELD_OUT:])
    return finite((x[:-HELD_OUT], y[:-HELD_OUT]), held_out, (test_x, test_y), classes=10, white=255)


DATASETS: dict[str, Loader] = {
    "shapeset": Loader(cache(_shapeset)),
    "digits": Loader(lambda: _finite(_digits, inputs=64, classes=10, white=16, size=1197)),
    "mnist": Loader(cache(lambda: _original("mnist", originals.mnist))),
    "cifar10": Loader(cache(lambda: _original("cifar10", originals.cifar10))),
}
"""By `data.name`; each is read or generated once."""
own(DATASETS)


def dataset(config: DataConfig) -> Dataset:
    """The data set of a config.

    Raises Unavailable when its files are not here, ConfigError when a batch is larger than the training set.
    """
    data = DATASETS[config.name]()
    if data.size is not None and config.batch_size > data.size:
        raise ConfigError("data.batch_size", config.batch_size, f"at most {data.size} ({config.name})")
    return data
