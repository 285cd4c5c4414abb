"""Writing results: a plan, tidy tables in parquet, and the training state of what is still running.

results/<experiment>/<scale>/     (or results/<name>/)
    plan.json                     every run that was asked for, and which grid it belongs to
    runs/part-<stack>.parquet     written last, as the mark that the rest is there
    steps/ layers/ histograms/ spectra/part-<stack>.parquet
    state/<stack>.pt              weights and optimiser, removed when the stack is done
    state/                        besides, who computes what at the moment: see `vgexp.results.locks`
"""

import hashlib
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from vgexp.config import Run, flat
from vgexp.networks.identity import changes, identity
from vgexp.results.columns import TABLES
from vgexp.results.errors import StorageError
from vgexp.results.files import reason, remove, set_aside, write_atomically
from vgexp.results.locks import alone, held, holders, noted
from vgexp.results.parts import UNREADABLE, check_tables, file_of, opened, run_rows, write_parts
from vgexp.results.plans import add_runs, changing, read_plan, set_grid
from vgexp.results.row_groups import common_schema, conform, extended, rows_of, write_groups
from vgexp.results.status import judged_rows

if TYPE_CHECKING:  # what writes no table needs no pandas
    import pandas as pd

SHORT = 1e-3
"""Seconds by which what is asked for again is later than what is there."""


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
        again: Mapping[str, float | None] | None = None,
        damaged: Collection[Path] = (),
        stacks: Sequence[Sequence[Run]] = (),
    ) -> None:
        """Adds runs and grids to the plan, and says which grids cannot be run here and why.

        The runs of `again` are to be computed although they are there, but for those that somebody computes or has
        written since: it says when each was written as the plan was made. Files that are damaged are set aside, where
        they are still. `stacks` is what is going to be computed: states that none of them takes up are removed.
        """
        ids = [identity(run) for run in runs]
        with changing(self.folder) as known:
            add_runs(known, dict(zip(ids, map(changes, runs), strict=True)))
            for name, members in grids.items():
                set_grid(known, name, members)
                known["left_out"].pop(name, None)
            known["left_out"] |= dict(left_out or {})
            before = known["commands"].pop(command, [])
            known["commands"][command] = list(dict.fromkeys([*before, *ids]))
            computed = {stack_of(holder.runs): holder.runs for holder in holders(self.folder)}
            elsewhere = {run for members in computed.values() for run in members}
            rows = run_rows(self.folder, {}) if again else {}
            for run, seen in (again or {}).items():
                written = rows.get(run, {}).get("updated")
                if written == seen and run not in elsewhere:
                    known["again"][run] = max(time.time(), (written or 0.0) + SHORT)  # later by any computer's clock
            still: dict[Path, str] = {}
            if damaged:
                judged_rows(self.folder, still)
            for path in still.keys() & set(damaged):
                if path.parent != self.folder and path.stem.removeprefix("part-") not in computed:
                    set_aside(path)
            self._drop_orphans(ids, {stack_id(stack) for stack in stacks} | computed.keys())

    def done(self, tables: bool = True) -> set[str]:
        """Ids of the runs that are there; without `tables` it is not looked whether these are whole."""
        return {
            run
            for run, row in judged_rows(self.folder, {}, check_tables if tables else None).items()
            if row["status"] == "done"
        }

    def begun(self) -> list[list[str]]:
        """The runs of every stack that is being computed or was interrupted, in their order."""
        found = {path.stem: self._members(path.stem) for path in self._states()}
        return [runs for runs in [*found.values(), *noted(self.folder)] if runs]

    @contextmanager
    def hold(self, runs: Sequence[Run]) -> Iterator[tuple[list[Run], dict[str, str]]]:
        """While the block lasts, no other process computes what it is given of the runs: those that are neither done
        nor computed elsewhere. Also tells which process computes each of the others.
        """
        self.done(tables=False)  # what is read now is known when others wait for the lock
        with ExitStack() as until_the_end:
            with alone(self.folder):
                elsewhere = {run: holder.process for holder in holders(self.folder) for run in holder.runs}
                done = self.done(tables=False)
                mine = [run for run in runs if identity(run) not in elsewhere and identity(run) not in done]
                if mine:
                    ids = [identity(run) for run in mine]
                    until_the_end.enter_context(held(self.folder, stack_of(ids), ids))
            yield mine, {identity(run): elsewhere[identity(run)] for run in runs if identity(run) in elsewhere}

    def elsewhere(self) -> set[str]:
        """The runs that are being computed."""
        with alone(self.folder):
            return {run for holder in holders(self.folder) for run in holder.runs}

    def write(
        self,
        stack: str,
        tables: "Mapping[str, pd.DataFrame]",
        runs: "pd.DataFrame",
        kept: Collection[str] = (),
        since: int = 0,
    ) -> None:
        """Replaces the rows of a stack, those of `runs` last; of the tables `kept` only those from a step on."""
        encoded: dict[str, Any] = {
            name: pa.Table.from_pandas(table, preserve_index=False) for name, table in tables.items()
        }
        for name in kept:
            encoded[name] = partial(_extend, file_of(self.folder, name, stack), encoded.get(name), since)
        write_parts(self.folder, stack, encoded, pa.Table.from_pandas(runs, preserve_index=False))

    def hand_over(self, whole: str, stack: str, runs: "pd.DataFrame", before: int) -> None:
        """Gives a stack, of these rows of `runs`, what another has of its runs from the steps before one."""
        files = {name: file_of(self.folder, name, whole) for name in TABLES if name != "runs"}
        tables = {
            name: partial(_extend, path, None, before, runs=list(runs["run"]))
            for name, path in files.items()
            if path.exists()
        }
        write_parts(self.folder, stack, tables, pa.Table.from_pandas(runs, preserve_index=False))

    def begun_at(self, runs: Sequence[Run]) -> float:
        """Now, in seconds since 1970, and not before these runs were asked for again, by whatever computer's clock."""
        again = read_plan(self.folder)["again"]
        return max([time.time(), *(again.get(identity(run), 0) for run in runs)])

    def fail(self, runs: Sequence[Run], message: str) -> None:
        """Records runs that ended in an error, beside whatever rows they left."""
        stack = stack_id(runs)
        self.write(stack, {}, runs_frame(runs, stack, status="failed", message=message, started=self.begun_at(runs)))

    def counts(self, stack: str, before: int) -> dict[str, int]:
        """How many rows of steps before one an interrupted stack left in each table; those without any, and what cannot
        be read in all its columns, are left out."""
        found = {}
        for name in set(TABLES) - {"runs"}:
            path = file_of(self.folder, name, stack)
            try:
                found[name] = sum(map(len, rows_of(path, before=before)))
            except UNREADABLE as error:
                reason(path, error)
        return {name: count for name, count in found.items() if count}

    def saved(self, stack: str, table: str, before: int) -> "Iterator[pd.DataFrame]":
        """The rows of steps before one that an interrupted stack left in a table, piece by piece."""
        path = file_of(self.folder, table, stack)
        if path.exists():
            yield from (rows.to_pandas() for rows in rows_of(path, before=before))

    def save_state(self, stack: str, state: Mapping[str, Any]) -> None:
        """Keeps what a training needs to go on."""
        write_atomically(self._state(stack), lambda stream: torch.save(dict(state), stream))

    def load_state(self, stack: str, runs: Sequence[Run] = ()) -> dict[str, Any] | None:
        """The training state of an interrupted stack; None when there is none that can be read, or when one of the runs
        was asked for again since. Raises StorageError where the system does not let us open it."""
        path, again = self._state(stack), read_plan(self.folder)["again"]
        try:
            if not path.is_file():
                return self.refuse_state(stack, "not a file") if path.exists() else None
            stream = path.open("rb")
        except OSError as error:  # it may be whole
            raise StorageError(error.errno, error.strerror, str(path)) from error
        try:
            with stream:
                state = dict(torch.load(stream, weights_only=True, map_location="cpu"))
            asked_later = state.get("started", 0) < max((again.get(identity(run), 0) for run in runs), default=0)
        except Exception as error:
            return self.refuse_state(stack, f"{type(error).__name__}: {reason(self._state(stack), error)}")
        return None if asked_later else state

    def refuse_state(self, stack: str, why: str) -> None:
        """Says that a state is of no use."""
        print(f"vgexp: skipped {self._state(stack)}: {why}: its runs start again", file=sys.stderr)

    def drop_state(self, stack: str) -> None:
        """Forgets it. The folder stays: another process may be about to write its own state there."""
        remove(self._state(stack))

    def _state(self, stack: str) -> Path:
        return self.folder / "state" / f"{stack}.pt"

    def _states(self) -> list[Path]:
        return sorted((self.folder / "state").glob("*.pt"))

    def _members(self, stack: str) -> list[str]:
        """The runs of a stack; none where its part of `runs` cannot be read."""
        path = file_of(self.folder, "runs", stack)
        try:
            return opened(path).read(columns=["run"])["run"].to_pylist()
        except UNREADABLE as error:
            reason(path, error)
            return []

    def _drop_orphans(self, planned: Collection[str], stacks: Collection[str]) -> None:
        """Removes the states that will not be taken up: a run of theirs is done, or all are planned in other stacks."""
        done = self.done(tables=False)
        for path in self._states():
            runs = self._members(path.stem)
            if path.stem not in stacks and (not done.isdisjoint(runs) or set(runs) <= set(planned)):
                remove(path)


def _extend(path: Path, new: pa.Table | None, since: int, stream: Any, runs: Collection[str] | None = None) -> None:
    """Writes the rows of a file from before a step, of all runs or some, and new ones into a stream."""
    name, old = path.parent.name, pq.read_schema(path)
    schema = common_schema(name, [old] if new is None else [old, new.schema])
    saved = (conform(name, rows, schema) for rows in rows_of(path, runs, since))
    added = schema.empty_table() if new is None else conform(name, new, schema)
    write_groups(stream, schema, extended(saved, added, TABLES[name].key))


def stack_id(runs: Sequence[Run]) -> str:
    """12 hex digits that name a stack by its members."""
    return stack_of([identity(run) for run in runs])


def stack_of(runs: Sequence[str]) -> str:
    """The same from the ids of its members."""
    return hashlib.sha256(" ".join(runs).encode()).hexdigest()[:12]


def runs_frame(runs: Sequence[Run], stack: str, **columns: Any) -> "pd.DataFrame":
    """The `runs` rows of a stack: the flat config, then the given columns (one value, or one a member)."""
    import pandas as pd

    from vgexp.results.reading import stored

    rows = [{"run": identity(run), "stack": stack} | stored(flat(run)) for run in runs]
    # Not before it began, by whatever computer's clock: the newest row counts.
    return pd.DataFrame(rows).assign(updated=max(time.time(), columns.get("started", 0.0)), **columns)
