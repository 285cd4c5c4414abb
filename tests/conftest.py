"""Shared by all tests: float64 where equality is meant, small networks, an empty folder to work in."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from vgexp.config import DataConfig, EvalConfig, ModelConfig, ProbeConfig, Run
from vgexp.store import Store
from vgexp.train import Training

hypothesis.settings.register_profile("vgexp", deadline=None)  # no test depends on wall-clock time
hypothesis.settings.load_profile("vgexp")


def small(**changes: Any) -> Run:
    """A quick network in float64: 3 x 12 on digits."""
    run = Run(
        steps=10,
        data=DataConfig(name="digits", batch_size=6),
        model=ModelConfig(depth=3, width=12),
        probe=ProbeConfig(every=1),
        eval=EvalConfig(every="never"),
        dtype="float64",
    )
    for key, value in changes.items():
        *path, name = key.split("__")
        if path:
            run = replace(run, **{path[0]: replace(getattr(run, path[0]), **{name: value})})
        else:
            run = replace(run, **{name: value})
    return run


@pytest.fixture
def train_all(tmp_path: Path) -> Callable[..., Training]:
    """Trains runs as one stack and returns the training, its records still in memory."""

    def trained(*runs: Run) -> Training:
        training = Training(runs, Store(tmp_path / "results"))
        while training.step <= runs[0].steps:
            training.observe_and_update()
        return training

    return trained


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests leave nothing in the checkout, and one thread makes small networks quick."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VGEXP_DATA", str(tmp_path / "no-data"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
