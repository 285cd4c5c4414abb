"""Saves: what a training leaves on disk, so that it can be read at any time and taken up after an interruption.

Legend: M members.
"""

import os
import time
from typing import Any

import pandas as pd
import torch

from vgexp.results.tensorboard import export_runs
from vgexp.results.writing import Store, runs_frame, stack_id
from vgexp.training.memory import peak_bytes
from vgexp.training.provenance import provenance
from vgexp.training.records import Records
from vgexp.training.stack import Stack

CHECKPOINT_SECONDS = float(os.environ.get("VGEXP_CHECKPOINT_SECONDS", "60"))
STATE_VERSION = 2
"""Of what a saved state holds; one of another version is left aside, and its runs start again."""


class Saves:
    """The part of a results folder that belongs to one stack."""

    def __init__(self, stack: Stack, store: Store, totals: dict[str, float]) -> None:
        """`totals` are further columns of the `runs` table."""
        self.name, self._stack, self._store, self._totals = stack_id(stack.runs), stack, store, totals
        self._seconds, self._started, self._began = 0.0, time.time(), time.monotonic()
        self._saved, self._exported = time.monotonic(), 0

    def restore(self) -> tuple[int, dict[str, pd.DataFrame]]:
        """Takes up an interrupted training of the same stack: the step to go on with, and the tables until there."""
        state, stack = self._store.load_state(self.name), self._stack
        if state is None or state.get("version") != STATE_VERSION:
            return 0, {}
        self._seconds, self._started, self._exported = state["seconds"], state["started"], state["step"]
        stack.taken.fill_(state["step"])
        stack.diverged_at_M.copy_(state["diverged_at"])
        with torch.no_grad():
            for key, part in stack.network.parts.items():
                for name, tensor in part.tensors.items():
                    tensor.copy_(state["parts"][key][name])
            for key, slots in stack.optimizer.state.items():
                for name, tensor in slots.items():
                    tensor.copy_(state["optimizer"][key][name])
        tables = self._store.load_tables(self.name)
        return state["step"], {name: table[table["step"] < state["step"]] for name, table in tables.items()}

    def due(self) -> bool:
        """Whether the last save was a while ago."""
        return time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def save(self, step: int, records: Records, status: str = "running", message: str = "") -> None:
        """Tables first, then the state: a state never knows more than the tables. `step` is the one to go on with."""
        tables, folder = records.tables(), self._store.folder
        self._store.write(self.name, tables, self.runs_rows(step, tables, status, message))
        if self._stack.run.logger == "tensorboard":
            export_runs(folder / "tensorboard", tables, self._exported)
            self._exported = step
        if status == "running":
            self._store.save_state(self.name, self._state(step))
        else:
            self._store.drop_state(self.name)
        self._saved = time.monotonic()

    def runs_rows(self, step: int, tables: dict[str, pd.DataFrame], status: str, message: str = "") -> pd.DataFrame:
        """The stack's rows of the `runs` table."""
        stack = self._stack
        diverged = [None if at < 0 else at for at in stack.diverged_at_M.tolist()]
        rows = runs_frame(
            stack.runs,
            self.name,
            status=status,
            message=message,
            step=step,
            diverged_at=pd.array(diverged, dtype="Int64"),
            seconds=self._elapsed() / len(stack.runs),
            started=self._started,
            peak_bytes=peak_bytes(stack.device),
            **self._totals,
            **provenance(stack.device),
        )
        if "steps" not in tables:
            return rows
        columns = [c for c in map(str, tables["steps"]) if c.startswith(("train_", "valid_", "test_"))]
        return rows.join(tables["steps"].groupby("run")[columns].last().add_prefix("final_"), on="run")

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._began

    def _state(self, step: int) -> dict[str, Any]:
        parts = {
            key: {name: tensor.detach() for name, tensor in part.tensors.items()}
            for key, part in self._stack.network.parts.items()
        }
        return {
            "version": STATE_VERSION,
            "step": step,
            "seconds": self._elapsed(),
            "started": self._started,
            "diverged_at": self._stack.diverged_at_M,
            "parts": parts,
            "optimizer": self._stack.optimizer.state,
        }
