"""Interruptions: a training that is asked to stop finishes its step and saves."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDS = (signal.SIGINT, signal.SIGTERM)
PREEMPTIONS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""What a cluster sends to a job that it will end soon and may start again."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or a pre-emption: the step was finished and everything saved."""


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns the signals that ask for an end into a question that can be asked between two steps; a second Ctrl-C is
    immediate.

    After the block a pre-emption is handed on to whoever handled it before: submitit asks for the job again and ends
    the process.
    """
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (*ENDS, *PREEMPTIONS)}
    except ValueError:  # not in the main thread, where no handler can be set
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in asked:
            if number in PREEMPTIONS and callable(before[signal.Signals(number)]):
                signal.raise_signal(number)
