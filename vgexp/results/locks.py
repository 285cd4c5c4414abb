"""Locks: one process at a time changes what a folder shares, and a run is computed by one process at a time.

results/<name>/state/
    folder.lock     held for moments, by whoever reads and then changes what all processes share
    <stack>.lock    held by the process that computes a stack, and free once that process ends, however it ends
    <stack>.json    the runs of that stack, and the process

The locks are the operating system's. On NFS they hold between computers where the server grants locks, which version 4
does; where none are granted, two computers may compute a run twice, which costs time and spoils nothing.
"""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from vgexp.results.files import write_atomically

LOOK_SECONDS = 0.5
"""How long a lock that is to be free may be kept by who only looks whether it is."""


@dataclass(frozen=True)
class Holder:
    """A process that computes a stack."""

    process: str
    runs: list[str]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process is in such a block of this folder at the same time."""
    with FileLock(_locks(folder) / "folder.lock"):
        yield


def holders(folder: Path) -> list[Holder]:
    """Who computes what. Forgets processes that ended without a word; to be called in a block of `alone`."""
    living = []
    for note in sorted((folder / "state").glob("*.json")):
        lock = FileLock(note.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            living.append(_holder(note))
        else:
            _forget(lock, note)
    return living


def noted(folder: Path) -> list[list[str]]:
    """The runs of every stack that somebody computes, or computed when they were killed."""
    return [_holder(note).runs for note in sorted((folder / "state").glob("*.json"))]


def computing(folder: Path) -> list[list[str]]:
    """The runs of every stack that some process computes now. Nothing is written, and no `alone` is needed."""
    notes = sorted((folder / "state").glob("*.json"))
    return [_holder(note).runs for note in notes if _taken(note.with_suffix(".lock"))]


@contextmanager
def held(folder: Path, stack: str, runs: Sequence[str]) -> Iterator[None]:
    """This process computes the stack while the block lasts; to be entered in a block of `alone`, and left outside."""
    lock, note = FileLock(_locks(folder) / f"{stack}.lock"), folder / "state" / f"{stack}.json"
    process = f"process {os.getpid()} on {platform.node()}"
    write_atomically(note, json.dumps({"process": process, "runs": list(runs)}).encode())
    lock.acquire(timeout=LOOK_SECONDS)
    try:
        yield
    finally:
        with alone(folder):
            _forget(lock, note)


def _holder(note: Path) -> Holder:
    """Who wrote a note; of one that is damaged, or gone by now, no more than that it is somebody."""
    try:
        return Holder(**json.loads(note.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Holder("another process", [])


def _taken(lock: Path) -> bool:
    """Whether a process holds a lock; asked by sharing it for a moment."""
    import fcntl

    try:
        with lock.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # gone, or a file system without locks
        return False
    return False


def _locks(folder: Path) -> Path:
    (folder / "state").mkdir(parents=True, exist_ok=True)
    return folder / "state"


def _forget(lock: FileLock, note: Path) -> None:
    note.unlink(missing_ok=True)
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)  # others take it in a block of `alone` only, as this one is
