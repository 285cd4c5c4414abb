"""Halving: a stack for which the memory is too small is trained as two, down to stacks of one run."""

import errno
import gc
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TypeVar

from vgexp.config import Run
from vgexp.results.writing import Store
from vgexp.training import describe
from vgexp.training.memory import return_freed_memory
from vgexp.training.splitting import split_saves

Found = TypeVar("Found")
WORDS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "ALLOC_FAILED")
"""What torch says where it has no error of its own for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on the computer or on a device.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory")), is_out_of_memory(ValueError("x"))
    (True, False)
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in WORDS)
    )


def halve(runs: Sequence[Run], store: Store) -> list[list[Run]]:
    """The halves of a stack that ran out of memory, which go on from what it saved; of one run there are none."""
    if len(runs) == 1:
        return []
    middle = len(runs) // 2
    halves = [list(runs[:middle]), list(runs[middle:])]
    gone = f"{describe(runs)}: out of memory; they go on in stacks of {len(halves[0])} and {len(halves[1])}"
    print(f"{gone} (max_members={middle} begins with such)", file=sys.stderr, flush=True)
    return_freed_memory()  # else what the stack took stays with this process, in pieces that nothing large fits into
    split_saves(store, runs, halves)
    return halves


def too_large(run: Run) -> str:
    """What is said of a run for which, alone in its stack, the memory is too small."""
    recomputed = "memory=checkpoint, or " if run.memory == "store" else ""
    return (
        f"out of memory with 1 run alone; {recomputed}a smaller model.width, model.depth or data.batch_size takes less"
    )


def each(stacks: Sequence[list[Run]], train: Callable[[list[Run]], list[Found]]) -> list[Found]:
    """What `train` returns of all stacks. The first error is raised when all of them had their turn."""
    found, errors = [], []
    for runs in stacks:
        gc.collect()  # what the last one took may be held by nothing but itself
        try:
            found += train(runs)
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they hold its tensors
            errors.append(error)
    if errors:
        raise errors[0]
    return found
