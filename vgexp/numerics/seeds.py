"""Random numbers by name: every draw depends on what it is for, never on what was drawn before.

There is no global generator. A generator is made from the name of a stream and integers such as `(seed, block)`, always
on the CPU, so that numbers are equal on every device and an interrupted run needs no generator state to resume.
"""

from numpy.random import SeedSequence
from torch import Generator

LARGEST = 2**32 - 1
"""The largest number of a key. numpy would read a larger one as two numbers: those of another key."""

STREAMS = {"weights": 0, "batches": 1, "cotangent": 2, "valid": 3, "test": 4, "split": 5, "theory": 6}
"""What random numbers are drawn for. A new stream takes a new number; stored results depend on the old ones."""


def generator(stream: str, *key: int) -> Generator:
    """A fresh CPU generator for one of STREAMS and one key: up to three integers from 0 to LARGEST.

    Zeros at the end of a key do not count: (3,) and (3, 0) are one key. Raises ValueError for another integer.

    >>> import torch
    >>> a = torch.rand(2, generator=generator("weights", 0, 1))
    >>> bool((a == torch.rand(2, generator=generator("weights", 0, 1))).all())
    True
    """
    if not all(0 <= number <= LARGEST for number in key):
        raise ValueError(f"a key of random numbers is made of integers from 0 to {LARGEST}, got {key}")
    state = SeedSequence([STREAMS[stream], *key]).generate_state(2)
    return Generator().manual_seed(int(state[0]) << 31 ^ int(state[1]))
