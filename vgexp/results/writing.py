"""Writing results: a plan, tidy tables in parquet, and the training state of what is still running.

results/<experiment>/<scale>/     (or results/<name>/)
    plan.json                     every run that was asked for, and which grid it belongs to
    runs/part-<stack>.parquet     written last, as the mark that the rest is there
    steps/ layers/ histograms/ spectra/part-<stack>.parquet
    state/<stack>.pt              weights and optimiser, removed when the stack is done
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from vgexp.config import RESULTS_VERSION, Run, flat
from vgexp.networks.identity import changes, identity
from vgexp.results.columns import TABLES
from vgexp.results.files import write_atomically
from vgexp.results.plans import read_plan
from vgexp.results.reading import file_of, read_file, read_runs, stored


class Store:
    """Writes the results of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(
        self,
        runs: Sequence[Run],
        grids: Mapping[str, Sequence[str]],
        command: str,
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        """Adds runs to the plan, and says which grids cannot be run here and why."""
        known = read_plan(self.folder)
        known["version"] = RESULTS_VERSION
        known["runs"] |= {identity(run): changes(run) for run in runs}
        for name, ids in grids.items():
            known["grids"][name] = list(ids)
            known["left_out"].pop(name, None)
        known["left_out"] |= dict(left_out or {})
        known["commands"] = list(dict.fromkeys([*known["commands"], command]))
        write_atomically(self.folder / "plan.json", json.dumps(known, indent=1).encode())

    def done(self) -> set[str]:
        """Ids of the runs that are there, whole."""
        runs = read_runs(self.folder, [])
        return set(runs.loc[runs["status"] == "done", "run"])

    def write(self, stack: str, tables: Mapping[str, pd.DataFrame], runs: pd.DataFrame) -> None:
        """Replaces the rows of a stack, those of `runs` last."""
        for name, table in {**tables, "runs": runs}.items():
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink, compression="zstd")
            write_atomically(file_of(self.folder, name, stack), sink.getvalue())

    def fail(self, runs: Sequence[Run], message: str) -> None:
        """Records runs that ended in an error, beside whatever rows they left."""
        stack = stack_id(runs)
        self.write(stack, {}, runs_frame(runs, stack, status="failed", message=message))

    def load_tables(self, stack: str) -> dict[str, pd.DataFrame]:
        """The tables that an interrupted stack left, without `runs`."""
        paths = {name: file_of(self.folder, name, stack) for name in TABLES if name != "runs"}
        return {name: read_file(path, name) for name, path in paths.items() if path.exists()}

    def save_state(self, stack: str, state: Mapping[str, Any]) -> None:
        """Keeps what a training needs to go on."""
        write_atomically(self._state(stack), lambda stream: torch.save(dict(state), stream))

    def load_state(self, stack: str) -> dict[str, Any] | None:
        """The training state of an interrupted stack; None when there is none that can be read."""
        path = self._state(stack)
        for left in path.parent.glob(f".{stack}.pt.*.tmp"):
            left.unlink(missing_ok=True)  # of a process that was killed while it wrote
        if not path.exists():
            return None
        try:
            return torch.load(path, weights_only=True, map_location="cpu")
        except Exception as error:
            print(f"vgexp: skipped {path}: {type(error).__name__}: its runs start again")
            return None

    def drop_state(self, stack: str) -> None:
        """Forgets it. The folder stays: another process may be about to write its own state there."""
        self._state(stack).unlink(missing_ok=True)

    def _state(self, stack: str) -> Path:
        return self.folder / "state" / f"{stack}.pt"


def stack_id(runs: Sequence[Run]) -> str:
    """12 hex digits that name a stack by its members."""
    return hashlib.sha256(" ".join(identity(run) for run in runs).encode()).hexdigest()[:12]


def runs_frame(runs: Sequence[Run], stack: str, **columns: Any) -> pd.DataFrame:
    """The `runs` rows of a stack: the flat config, then the given columns (one value, or one a member)."""
    rows = [{"run": identity(run), "stack": stack} | stored(flat(run)) for run in runs]
    return pd.DataFrame(rows).assign(updated=time.time(), **columns)
