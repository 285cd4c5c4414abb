"""Memory that is too small for a stack, as an allocator that refuses more than so many members."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from samples import small

from vgexp.experiments.halving import each, is_out_of_memory
from vgexp.experiments.launch import train_stack
from vgexp.results.reading import read
from vgexp.results.writing import Store
from vgexp.training import loop

RUNS = [small(seed=seed) for seed in range(5)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("std::bad_alloc"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (OSError(28, "No space left on device"), False),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
    ids=repr,
)
def test_what_says_that_memory_is_out(error, expected):
    assert is_out_of_memory(error) == expected


def test_the_allocators_own_error_is_one():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**62, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


@pytest.fixture
def fits(monkeypatch):
    """At most so many members fit, in the step that is named; returns the sizes of the stacks that were begun."""

    def limit(most, at):
        begun, step = [], loop.Training.observe_and_update

        def observe_and_update(self):
            members = len(self.stack.runs)
            if not begun or self.step in (0, at):
                begun.append((members, self.step))
            if self.step == at and members > most:
                self.save()
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return step(self)

        monkeypatch.setattr(loop.Training, "observe_and_update", observe_and_update)
        return begun

    return limit


def without_stacks(results):
    tables = results.comparable()
    return {name: table.drop(columns=["folder", "stack"], errors="ignore") for name, table in tables.items()}


@pytest.mark.parametrize("at", [0, 6, 10])
def test_a_stack_that_does_not_fit_goes_on_in_halves(at, fits, capsys):
    train_stack(RUNS, Store(Path("whole")))
    capsys.readouterr()
    begun = fits(2, at)
    assert train_stack(RUNS, Store(Path("halved"))) == []
    said = [line for line in capsys.readouterr().err.splitlines() if "out of memory" in line]
    assert [line.split("stacks of ")[1].split(" (")[0] for line in said] == ["2 and 3", "1 and 2"]
    assert [size for size, step in begun if step == at] == [5, 2, 3, 1, 2]
    assert {step for _, step in begun[1:]} == {at}  # none began again
    whole = without_stacks(read("whole"))
    for name, table in without_stacks(read("halved")).items():
        pd.testing.assert_frame_equal(table, whole[name])
    assert not list(Path("halved/state").glob("*.pt")) + list(Path("halved/state").glob("*.json"))


def test_a_run_that_does_not_fit_alone_says_what_would_and_the_others_have_their_turn(fits):
    begun = fits(0, 3)
    with pytest.raises(MemoryError, match="1 run alone; memory=checkpoint, or a smaller"):
        train_stack(RUNS[:3], Store(Path("here")))
    assert [size for size, _ in begun if size == 1] == [1] * 3
    runs = read("here").runs
    assert runs["status"].eq("failed").all() and runs["message"].str.startswith("out of memory with 1 run").all()


def test_what_a_failed_stack_took_is_free_before_the_next():
    held, alive = [], []

    class Taken:
        def __init__(self):
            held.append(1)

        def __del__(self):
            held.pop()

    def train(runs):
        alive.append(len(held))
        taken = Taken()
        taken.itself = taken
        raise ValueError(str(runs))

    with pytest.raises(ValueError, match="first"):
        each([["first"], ["second"], ["third"]], train)
    assert alive == [0, 0, 0]


LIMITED = """
import resource, sys
from pathlib import Path
from dataclasses import replace
from samples import small
from vgexp.experiments.launch import train_stack
from vgexp.results.writing import Store
runs = [small(seed=s, steps=1, model__width=1500, probe__every="never") for s in range(8)]
train_stack([replace(runs[0], seed=99)], Store(Path("warm")))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 180_000_000,) * 2)
train_stack(runs, Store(Path("here")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to RLIMIT_AS")
def test_a_real_limit():
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{LIMITED}"
    # Threads of their own, and the allocator of pyarrow, reserve far more addresses than they use.
    frugal = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | frugal)
    assert done.returncode == 0, done.stderr
    assert "8 runs: out of memory; they go on in stacks of 4 and 4" in done.stderr  # and of fewer, as memory lies
    assert read("here").runs["status"].tolist() == ["done"] * 8
