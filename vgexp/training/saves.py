"""Saves: what a training leaves on disk, so that it can be read at any time and taken up after an interruption.

Legend: M members.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from vgexp.config import schedule
from vgexp.results.durations import checkpoint_seconds
from vgexp.results.loggers import LOGGERS, Write
from vgexp.results.writing import Store, runs_frame, stack_id
from vgexp.training.memory import Peak
from vgexp.training.provenance import provenance
from vgexp.training.records import Records
from vgexp.training.stack import Stack

STATE_VERSION = 3
"""Of what a saved state holds; one of another version is left aside, and its runs start again."""


class Saves:
    """The part of a results folder that belongs to one stack."""

    def __init__(self, stack: Stack, store: Store, totals: dict[str, float], peak: Peak) -> None:
        """`totals` are further columns of the `runs` table."""
        self._peak, self._peak_before = peak, 0.0
        self.name, self._stack, self._store, self._totals = stack_id(stack.runs), stack, store, totals
        self._seconds, self._started, self._began = 0.0, store.begun_at(stack.runs), time.monotonic()
        self._saved, self._since = time.monotonic(), 0
        self._counts: Counter[str] = Counter()
        self._ends: list[pd.DataFrame] = []
        self._log: Write | None = None

    def restore(self) -> int:
        """Takes up an interrupted training of the same stack; returns the step to go on with."""
        state = self._store.load_state(self.name, self._stack.runs)
        if state is None:
            return 0
        try:
            if state["version"] != STATE_VERSION:
                raise ValueError(f"of version {state['version']}")
            counts = self._store.counts(self.name, state["step"])
            if counts != state["rows"]:
                raise ValueError("its tables are not whole")
            pairs = list(self._pairs(state))
            if any(tensor.shape != saved.shape for tensor, saved in pairs):
                raise ValueError("of other shapes")
            seconds, started, step, peak = (state[name] for name in ("seconds", "started", "step", "peak_bytes"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self._store.refuse_state(self.name, f"{type(error).__name__}: {error}")
            return 0
        self._seconds, self._started, self._since, self._peak_before = seconds, started, step, peak
        self._counts.update(counts)
        for steps in self._store.saved(self.name, "steps", step):
            self._ends = self._ends_with(steps)
        self._stack.taken.fill_(step)
        with torch.no_grad():
            for tensor, saved in pairs:
                tensor.copy_(saved)
        return step

    @contextmanager
    def logged(self) -> Iterator[None]:
        """While the block lasts, what is saved goes to the logger of the runs too."""
        if self._stack.run.logger == "none":
            yield
            return
        with LOGGERS[self._stack.run.logger].open(self._store.folder) as self._log:
            yield
        self._log = None

    def due(self, records: Records) -> bool:
        """Whether the last save was a while ago, or much has been recorded since."""
        return time.monotonic() - self._saved > checkpoint_seconds() or records.many

    def save(self, step: int, records: Records, status: str = "running", message: str = "") -> None:
        """Tables first, then the state: a state never knows more than the tables. `step` is the one to go on with."""
        tables = records.tables()
        rows = self.runs_rows(step, tables, status, message)
        self._store.write(self.name, tables, rows, kept=self._counts, since=self._since)
        if self._log is not None:
            self._log(rows, tables)
        self._counts.update({name: len(table) for name, table in tables.items()})
        if "steps" in tables:
            self._ends = self._ends_with(tables["steps"])
        self._since = step
        records.forget()
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
            step=min(step, stack.run.steps),  # the last one is only observed
            diverged_at=pd.array(diverged, dtype="Int64"),
            seconds=self._elapsed() / len(stack.runs),
            started=self._started,
            peak_bytes=self._peak_bytes() / len(stack.runs),
            **self._totals,
            **provenance(stack.device),
        )
        ends = self._ends_with(tables["steps"]) if "steps" in tables else self._ends
        for end in ends:
            rows = rows.join(end.add_prefix("final_"), on="run")
        if ends:
            rows.loc[rows["diverged_at"].notna(), [name for name in rows if str(name).startswith("final_")]] = math.nan
        return rows

    def _ends_with(self, steps: pd.DataFrame) -> list[pd.DataFrame]:
        """The last value of each metric, each at the last step that its schedule names, a row a run: after these rows
        too."""
        run, found = self._stack.run, []
        for i, (due, prefixes) in enumerate(((run.probe.every, "train_"), (run.eval.every, ("valid_", "test_")))):
            names = [name for name in map(str, steps) if name.startswith(prefixes)]
            rows = steps[steps["step"].map(schedule(due, run.steps))].set_index("run")[names]
            rows = pd.concat([*self._ends[i : i + 1], rows])
            found.append(rows[~rows.index.duplicated(keep="last")])
        return found

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._began

    def _peak_bytes(self) -> float:
        """The stack's, also of a training that was taken up."""
        return max(self._peak.bytes(), self._peak_before)

    def _pairs(self, state: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
        """Every tensor that changes in training, and what a state has for it."""
        yield self._stack.diverged_at_M, state["diverged_at"]
        for key, part in self._stack.network.parts.items():
            for name, tensor in part.state.items():
                yield tensor, state["parts"][key][name]
        for key, slots in self._stack.optimizer.state.items():
            for name, tensor in slots.items():
                yield tensor, state["optimizer"][key][name]

    def _state(self, step: int) -> dict[str, Any]:
        parts = {
            key: {name: tensor.detach() for name, tensor in part.state.items()}
            for key, part in self._stack.network.parts.items()
        }
        return {
            "version": STATE_VERSION,
            "step": step,
            "seconds": self._elapsed(),
            "started": self._started,
            "peak_bytes": self._peak_bytes(),
            "rows": dict(self._counts),
            "diverged_at": self._stack.diverged_at_M,
            "parts": parts,
            "optimizer": self._stack.optimizer.state,
        }
