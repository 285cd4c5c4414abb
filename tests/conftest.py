"""Shared by all tests: float64 where equality is meant, small networks, an empty folder to work in."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from vgexp.config.fields import Run
from vgexp.results.writing import Store
from vgexp.training.loop import Training

hypothesis.settings.register_profile("vgexp", deadline=None)  # no test depends on wall-clock time
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=1000, print_blob=True)
hypothesis.settings.load_profile("vgexp")


@pytest.fixture
def train_all(tmp_path: Path) -> Callable[..., Training]:
    """Trains runs as one stack and returns the training, its records still in memory."""

    def trained(*runs: Run) -> Training:
        training = Training(runs, Store(tmp_path / "results"))
        while training.step <= runs[0].steps:
            training.observe_and_update()
        return training

    return trained


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`time.monotonic` stands still; what is returned puts it forward by some seconds."""
    seconds = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])

    def wait(more: float) -> None:
        seconds[0] += more

    return wait


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests leave nothing in the checkout nor for each other, and one thread makes small networks quick."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGEXP_DATA", str(tmp_path / "no-data"))
    monkeypatch.setenv("VGEXP_IMPORT", "")  # put back also where a command has set it, which is never undone
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
