"""CPU threads: as many as the products of a step are worth, and no more than a job's share of the cores."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import joblib
import torch

from vgexp.config import Run
from vgexp.costs import sizes
from vgexp.data import dataset

FLOPS_A_THREAD = 4e6
"""What a thread has to do in the largest product of a step before it pays: see benchmarks/README.md."""


@contextmanager
def threads_of(runs: Sequence[Run]) -> Iterator[None]:
    """Inside, torch has the threads of a stack: `threads`, or what suits its products, its share of the cores and
    OMP_NUM_THREADS, which is never exceeded.

    The last digits of a result may depend on the number of threads, which is recorded with it.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(runs[0].threads or suitable(runs, before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def suitable(runs: Sequence[Run], most: int) -> int:
    """The number of threads, at most `most`, for M members, B examples and the largest matrix I x O:
    2 M B I O / FLOPS_A_THREAD."""
    run = runs[0]
    data = dataset(run.data)
    largest = sizes(run, data.inputs, data.classes).largest
    worth = 2 * len(runs) * run.data.batch_size * largest / FLOPS_A_THREAD
    return max(1, min(most, joblib.cpu_count() // (run.jobs or 1), int(worth)))
