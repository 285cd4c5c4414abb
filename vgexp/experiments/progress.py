"""Progress of a sweep: how many of its runs are done, in plain lines from the first second, also through a pipe.

Workers are processes of their own, which need not know of each other: what is done is read from the folder.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from vgexp.config import Run, counted
from vgexp.networks.identity import identity
from vgexp.results.durations import spoken
from vgexp.results.status import judged_rows

LINE_SECONDS = 10.0
"""The longest time between two lines."""
LOOK_SECONDS, LOOK_SHARE = 1.0, 0.1
"""The folder is looked at after a second, then after each tenth of the time so far, to say at once what has ended: a
short sweep tells each second, a long one does not fill a log."""


@contextmanager
def told(folder: Path, runs: Sequence[Run]) -> Iterator[None]:
    """While the block lasts, stderr is told how far the runs are: at once, as they end, now and then."""
    progress, over = SweepProgress(folder, runs), Event()

    def tell() -> None:
        began = said = time.monotonic()
        while not over.wait(min(LINE_SECONDS, max(LOOK_SECONDS, LOOK_SHARE * (time.monotonic() - began)))):
            before, line = progress.ended, progress.line()
            if progress.ended > before or time.monotonic() - said >= LINE_SECONDS:
                print(line, file=sys.stderr, flush=True)
                said = time.monotonic()

    print(progress.line(), file=sys.stderr, flush=True)
    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
    print(progress.line(), file=sys.stderr, flush=True)


class SweepProgress:
    """How far the runs of a sweep are, and how long they have been in the works since this was made."""

    def __init__(self, folder: Path, runs: Sequence[Run]) -> None:
        self._folder, self._began = folder, time.monotonic()
        self._updates = {identity(run): run.steps for run in runs}
        self.ended = 0
        """Runs that were done or had failed at the last look."""
        self._failed = {run: row["updated"] for run, row in self._rows().items() if row["status"] == "failed"}
        """When the runs failed that had before: they are tried again."""
        _, _, self._before = self._now()

    def line(self) -> str:
        """Runs done of all, those that failed, the time so far, and about how long what is left will take.

        The time left supposes that runs take as long as those that were computed so far; it is not said before there
        are any.
        """
        done, failed, computed = self._now()
        self.ended = done + failed
        total, elapsed = len(self._updates), time.monotonic() - self._began
        text = f"sweep: {done} of {counted(total, 'run')} done ({100 * done // total} %)"
        text += f", {failed} failed" if failed else ""
        text += f"; {spoken(elapsed)} so far"
        here = computed - self._before
        if here > 0 and self.ended < total:
            text += f", about {spoken(elapsed * (total - failed - computed) / here)} left"
        return text

    def _now(self) -> tuple[int, int, float]:
        """Runs that are done, runs that failed, and runs computed, of which those that are under way are parts."""
        rows = self._rows()
        states = [row["status"] for run, row in rows.items() if self._failed.get(run) != row["updated"]]
        running = [(row["step"] or 0, self._updates[run]) for run, row in rows.items() if row["status"] == "running"]
        parts = [step / updates for step, updates in running if updates]
        return states.count("done"), states.count("failed"), states.count("done") + sum(parts)

    def _rows(self) -> dict[str, dict[str, Any]]:
        """The newest row of each run; what was asked for again is not there until it begins."""
        return {run: row for run, row in judged_rows(self._folder, {}, None).items() if run in self._updates}
