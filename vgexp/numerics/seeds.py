"""Random numbers by name: every draw is a function of who asks, never of who asked before.

There is no global generator. A generator is made from a stream name and integers such as `(seed, block)`,
always on the CPU, so that numbers are equal on every device and an interrupted run needs no generator state
to resume.
"""

from numpy.random import SeedSequence
from torch import Generator

STREAMS = {"weights": 0, "batches": 1, "cotangent": 2, "valid": 3, "test": 4, "split": 5}


def generator(stream: str, *key: int) -> Generator:
    """A fresh CPU generator for one stream and one key of non-negative integers.

    >>> import torch
    >>> a = torch.rand(2, generator=generator("weights", 0, 1))
    >>> bool((a == torch.rand(2, generator=generator("weights", 0, 1))).all())
    True
    """
    state = SeedSequence([STREAMS[stream], *key]).generate_state(2)
    return Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))
