"""Progress of one stack: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from multiprocessing import current_process
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from torch import Tensor

from vgexp.config import counted

LINE_SECONDS = 10.0
"""Time between two plain lines."""
DRAW_SECONDS = 0.2
"""Time between two drawings of the bar; each reads the loss, which waits for the device."""


class Progress:
    """Writes the loss, the steps a second and the time left of a training to stderr."""

    def __init__(self, title: str, total: int, done: int = 0) -> None:
        self.title, self.total = title, total
        self._done, self._began, self._drawn = done, time.monotonic(), 0.0
        self._from = done
        self._bar: Bar | None = None
        seen = sys.stderr is not None and sys.stderr.isatty()
        if seen and current_process().name == "MainProcess":  # bars of several workers would overlap
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}  loss {task.fields[loss]}  {task.fields[speed]}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
            )
            self._task = self._bar.add_task(title, total=total, completed=done, loss="-", speed="-")
        else:
            self._drawn = self._began
            if done:
                self._line(f"resumed at step {done}")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.stop()
        elif kind is None:
            self._line(f"{counted(self._done - self._from, 'step')} in {time.monotonic() - self._began:.1f} s")

    def advance(self, done: int, loss_M: Tensor) -> None:
        """Called after every step; looks at the loss only when it is time to draw."""
        self._done = done
        now = time.monotonic()
        if now - self._drawn < (DRAW_SECONDS if self._bar else LINE_SECONDS) and done < self.total:
            return
        self._drawn = now
        loss = f"{float(loss_M.nanmean()):.3f}"
        speed = (done - self._from) / max(now - self._began, 1e-9)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, loss=loss, speed=f"{speed:.3g}", refresh=True)
        elif done < self.total:
            left = (self.total - done) / max(speed, 1e-9)
            self._line(f"step {done}/{self.total}  loss {loss}  {speed:.3g} steps/s  {left:.0f} s left")

    def _line(self, text: str) -> None:
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)
