"""Scaling: the live bytes of a run's network from its shapes, without running it.

What a step allocates and frees, and in which order, depends on sizes by one comparison only: whether the batch is thin.
So a step of a tiny network is run, whose sizes are distinct primes and compare alike: the factors of a storage's size
say which dimensions it has, and each grows to what it is in the network that is asked for. That takes a fifth of the
time of a step at the true sizes on the `meta` device, whose operations are written in Python.
"""

import dataclasses
from itertools import accumulate, pairwise

import torch

from vgexp.config import Run
from vgexp.costs.counting import Shadow
from vgexp.networks import OPTIMIZERS, THIN, skeleton

BATCH = 7
PRIMES = {"inputs": (19, 59), "classes": (23, 61), "units": (13, 37, 71)}
"""By dimension: primes below and above THIN times the batch; of the units one for which only their double is above."""


def scaled(run: Run, inputs: int, classes: int) -> float:
    """The most that activations and their gradients take at once in a step of a run whose layers have one width."""
    thin, width = THIN * run.data.batch_size, run.model.width
    tiny_inputs = PRIMES["inputs"][inputs >= thin]
    tiny_classes = PRIMES["classes"][classes >= thin]
    half = PRIMES["units"][(width >= thin) + (width // 2 >= thin)]  # reversible networks halve their states
    tiny = dataclasses.replace(
        run,
        model=dataclasses.replace(run.model, width=2 * half),
        data=dataclasses.replace(run.data, batch_size=BATCH),
    )
    timeline = shadow(tiny, tiny_inputs, tiny_classes).live()[0].timeline
    grows = {
        BATCH: run.data.batch_size / BATCH,
        half: width / (2 * half),
        tiny_inputs: inputs / tiny_inputs,
        tiny_classes: classes / tiny_classes,
    }
    return max(accumulate((_grown(after - before, grows) for before, after in pairwise(timeline)), initial=0.0))


def shadow(run: Run, inputs: int, classes: int, device: str = "cpu") -> Shadow:
    """A step of a run's network on a batch of zeros."""
    x_1BI = torch.zeros(1, run.data.batch_size, inputs, dtype=getattr(torch, run.dtype), device=device)
    target_1B = torch.zeros(1, run.data.batch_size, dtype=torch.long, device=device)
    network = skeleton(run, inputs, classes, device)
    return Shadow(network, x_1BI, target_1B, lambda parts: OPTIMIZERS[run.optim.name]([run], parts))


def _grown(nbytes: int, grows: dict[int, float]) -> float:
    """The size of a storage in the network that is asked for: `grows` maps the prime of a dimension to its ratio."""
    size = float(nbytes)
    for prime, ratio in grows.items():
        while nbytes and nbytes % prime == 0:
            nbytes //= prime
            size *= ratio
    return size
