"""Data sets, and the stream of batches that a stack trains on.

Block k of a seed's stream is a function of `(seed, k)`: members of one seed see the same batches, so that
comparisons are paired, and resuming at any step needs no state. Pixels stay small integers until a batch is
used.

Legend: M members, B batch, K images, I inputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from vgexp import originals, shapeset
from vgexp.config import ConfigError, DataConfig
from vgexp.seeds import generator

MONITORED = 300
"""Test examples that layer statistics are taken on: Glorot & Bengio (2010), section 2."""
HELD_OUT = 10_000
BLOCK = 4096
"""Images of an endless data set that are generated at once, rounded down to whole batches."""

Images = tuple[Tensor, Tensor]
"""Pixels (K, I) in uint8 and classes (K,)."""


@dataclass(frozen=True)
class Dataset:
    """Where examples come from. `train` makes block k of a seed; the rest is fixed."""

    inputs: int
    classes: int
    white: int
    """The value of a white pixel."""
    train: Callable[[int, int, int], Images]
    """(seed, block, batch_size) -> a whole number of batches."""
    valid: Callable[[], Images]
    test: Callable[[], Images]
    size: int | None = None
    """Training examples, None for an endless stream."""


def _shapeset() -> Dataset:
    def train(seed: int, block: int, batch_size: int) -> Images:
        count = max(1, BLOCK // batch_size) * batch_size
        return shapeset.images(count, generator("batches", seed, block))

    return Dataset(
        inputs=shapeset.PIXELS,
        classes=shapeset.CLASSES,
        white=255,
        train=train,
        valid=cache(lambda: shapeset.images(HELD_OUT, generator("valid"))),
        test=cache(lambda: shapeset.images(HELD_OUT, generator("test"))),
    )


def finite(train: Images, valid: Images, test: Images, classes: int, white: int) -> Dataset:
    """A data set in memory. Block k is the seed's k-th pass over it, in an order of its own, without the last partial
    batch."""
    train_x, train_y = train

    def block(seed: int, block: int, batch_size: int) -> Images:
        order = torch.randperm(len(train_y), generator=generator("batches", seed, block))
        order = order[: len(order) // batch_size * batch_size]
        return train_x[order], train_y[order]

    return Dataset(train_x.shape[1], classes, white, block, lambda: valid, lambda: test, len(train_y))


def _digits() -> Dataset:
    """scikit-learn's 1797 digits of 8 x 8 pixels: 1197 for training, 300 for validation, 300 for the test."""
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=generator("split"))
    x, y = torch.from_numpy(pixels).to(torch.uint8)[order], torch.from_numpy(classes)[order]
    (train_x, valid_x, test_x), (train_y, valid_y, test_y) = (part.split([1197, 300, 300]) for part in (x, y))
    return finite((train_x, train_y), (valid_x, valid_y), (test_x, test_y), classes=10, white=16)


def _original(read: Callable[[], dict[str, originals.Arrays]]) -> Dataset:
    """MNIST or CIFAR-10: the last 10,000 training images are held out for validation."""
    parts = read()
    (x, y), (test_x, test_y) = (tuple(torch.from_numpy(part.copy()) for part in parts[name]) for name in parts)
    held_out = (x[-HELD_OUT:], y[-HELD_OUT:])
    return finite((x[:-HELD_OUT], y[:-HELD_OUT]), held_out, (test_x, test_y), classes=10, white=255)


DATASETS: dict[str, Callable[[], Dataset]] = {
    "shapeset": cache(_shapeset),
    "digits": cache(_digits),
    "mnist": cache(lambda: _original(originals.mnist)),
    "cifar10": cache(lambda: _original(originals.cifar10)),
}


def dataset(config: DataConfig) -> Dataset:
    """The data set of a config.

    Raises Unavailable when its files are not here, ConfigError when a batch is larger than the training set.
    """
    data = DATASETS[config.name]()
    if data.size is not None and config.batch_size > data.size:
        raise ConfigError("data.batch_size", config.batch_size, f"at most {data.size} ({config.name})")
    return data


class Stream:
    """Batches of all members by step, and the fixed examples, as the network wants them."""

    def __init__(self, config: DataConfig, seeds: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.data, self.batch_size = dataset(config), config.batch_size
        self.dtype, self.device = dtype, device
        self.black, self.white = config.range
        self.seeds = seeds
        self._distinct = sorted(set(seeds))
        self._member_M = torch.tensor([self._distinct.index(seed) for seed in seeds], device=device)
        self._block, self._x_SKI, self._y_SK = -1, torch.empty(0), torch.empty(0)
        self._per_block = len(self.data.train(self._distinct[0], 0, self.batch_size)[1]) // self.batch_size

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x_MBI and y_MB of one step: those of a member depend on its seed and the step alone."""
        block, batch = divmod(step, self._per_block)
        if block != self._block:
            drawn = [self.data.train(seed, block, self.batch_size) for seed in self._distinct]
            self._x_SKI, self._y_SK = (torch.stack(part).to(self.device) for part in zip(*drawn, strict=True))
            self._block = block
        part = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        return self._per_member(self._pixels(self._x_SKI[:, part])), self._per_member(self._y_SK[:, part])

    def cotangent(self, step: int, examples: int, outputs: int) -> Tensor:
        """Gaussian cotangents xi_MBC of one step, one draw a seed."""
        drawn_SBC = [
            torch.randn(examples, outputs, generator=generator("cotangent", seed, step), dtype=torch.float64)
            for seed in self._distinct
        ]
        return self._per_member(torch.stack(drawn_SBC).to(self.device, self.dtype))

    def valid(self) -> tuple[Tensor, Tensor]:
        """The validation set, x_1KI and y_1K, the same for every member."""
        return self._fixed(self.data.valid())

    def test(self) -> tuple[Tensor, Tensor]:
        return self._fixed(self.data.test())

    def monitor(self) -> tuple[Tensor, Tensor]:
        """The first 300 test examples, expanded to all members."""
        x_KI, y_K = self.data.test()
        x_1KI, y_1K = self._fixed((x_KI[:MONITORED], y_K[:MONITORED]))
        return x_1KI.expand(len(self.seeds), -1, -1), y_1K.expand(len(self.seeds), -1)

    def _fixed(self, images: Images) -> tuple[Tensor, Tensor]:
        x_KI, y_K = images
        return self._pixels(x_KI.to(self.device))[None], y_K.to(self.device)[None]

    def _pixels(self, x: Tensor) -> Tensor:
        return x.to(self.dtype) * ((self.white - self.black) / self.data.white) + self.black

    def _per_member(self, part_S: Tensor) -> Tensor:
        if len(self._distinct) == 1:
            return part_S.expand(len(self.seeds), *part_S.shape[1:])
        return part_S[self._member_M]
