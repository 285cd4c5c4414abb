"""Streams: the batches that a stack trains on, step by step, and the fixed examples.

Legend: S distinct seeds, M members, B batch, K images, I inputs, C outputs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from vgexp.config import DataConfig
from vgexp.data.datasets import MONITORED, Images, dataset
from vgexp.numerics import generator


class Stream:
    """The batches of all members by step, and the fixed examples, as tensors that the network takes.

    Raises what `dataset` raises.
    """

    def __init__(self, config: DataConfig, seeds: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        self.data, self.batch_size = dataset(config), config.batch_size
        self.dtype, self.device = dtype, device
        self.black, self.white = config.range
        self.seeds = seeds
        self._distinct = sorted(set(seeds))
        self._member_M = torch.tensor([self._distinct.index(seed) for seed in seeds], device=device)
        self._draw(0)
        self._per_block = self._y_SK.shape[1] // self.batch_size

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """x_MBI and y_MB of one step: those of a member depend on its seed and the step alone."""
        block, batch = divmod(step, self._per_block)
        if block != self._block:
            self._draw(block)
        part = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        return self._per_member(self._pixels(self._x_SKI[:, part])), self._per_member(self._y_SK[:, part])

    def cotangent(self, step: int, examples: int, outputs: int) -> Tensor:
        """Gaussian cotangents xi_MBC of one step, for so many examples and outputs; members of one seed share them."""
        drawn_SBC = [
            torch.randn(examples, outputs, generator=generator("cotangent", seed, step), dtype=torch.float64)
            for seed in self._distinct
        ]
        return self._per_member(torch.stack(drawn_SBC).to(self.device, self.dtype))

    def valid(self) -> tuple[Tensor, Tensor]:
        """The validation set, x_1KI and y_1K, the same for every member."""
        return self._fixed(self.data.valid())

    def test(self) -> tuple[Tensor, Tensor]:
        """The test set, likewise."""
        return self._fixed(self.data.test())

    def monitor(self) -> tuple[Tensor, Tensor]:
        """The first 300 test examples, expanded to all members."""
        x_KI, y_K = self.data.test()
        x_1KI, y_1K = self._fixed((x_KI[:MONITORED], y_K[:MONITORED]))
        return x_1KI.expand(len(self.seeds), -1, -1), y_1K.expand(len(self.seeds), -1)

    def _draw(self, block: int) -> None:
        """Makes the examples of a block those at hand."""
        drawn = [self.data.train(seed, block, self.batch_size) for seed in self._distinct]
        self._x_SKI, self._y_SK = (torch.stack(part).to(self.device) for part in zip(*drawn, strict=True))
        self._block = block

    def _fixed(self, images: Images) -> tuple[Tensor, Tensor]:
        x_KI, y_K = images
        return self._pixels(x_KI.to(self.device))[None], y_K.to(self.device)[None]

    def _pixels(self, x: Tensor) -> Tensor:
        return x.to(self.dtype) * ((self.white - self.black) / self.data.white) + self.black

    def _per_member(self, part_S: Tensor) -> Tensor:
        if len(self._distinct) == 1:
            return part_S.expand(len(self.seeds), *part_S.shape[1:])
        return part_S[self._member_M]
