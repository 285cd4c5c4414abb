"""Locks: one process at a time changes what a folder shares, and a run is computed by one process at a time.

results/<name>/state/
    folder.lock     held for moments, by whoever reads and then changes what all processes share
    <stack>.lock    held by the process that computes a stack, and free once that process ends, however it ends
    <stack>.json    the runs of that stack, and the process

The locks are the operating system's. On NFS they hold between computers where the server grants locks, which version 4
does. A file system that grants none has leases in their place, <name>.lease: files that their holder touches every few
seconds, and that are free when nobody has touched them for LEASE_SECONDS. Should two compute a run after all, say since
somebody removed the folder of the locks, then it costs time and spoils nothing.
"""

import errno
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLease, Timeout

from vgexp.results.errors import StorageError
from vgexp.results.files import require_file, write_atomically

LOOK_SECONDS = 30.0
"""How long a lock that is to be free may be kept by who only looks whether it is."""
LEASE_SECONDS = 60.0
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What a file system without locks answers."""


@dataclass(frozen=True)
class Holder:
    """A process that computes a stack."""

    process: str
    runs: list[str]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process is in such a block of this folder at the same time."""
    lock = _acquired(_locks(folder) / "folder.lock")
    try:
        yield
    finally:
        lock.release()


def holders(folder: Path) -> list[Holder]:
    """Who computes what. Forgets processes that ended without a word; to be called in a block of `alone`."""
    living = []
    for note in sorted((folder / "state").glob("*.json")):
        path = note.with_suffix(".lock")
        try:
            lock = _acquired(path, timeout=0)
        except Timeout:
            living.append(_holder(note))
        else:
            path.unlink(missing_ok=True)  # others take it in a block of `alone` only
            note.unlink(missing_ok=True)  # last: it leads to the lock
            lock.release()
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
    state = _locks(folder)
    process = f"process {os.getpid()} on {platform.node()}"
    write_atomically(state / f"{stack}.json", json.dumps({"process": process, "runs": list(runs)}).encode())
    lock = _acquired(state / f"{stack}.lock", LOOK_SECONDS)
    try:
        yield
    finally:
        lock.release()
        with alone(folder):
            holders(folder)  # forgets this one too


def _holder(note: Path) -> Holder:
    """Who wrote a note; of one that is damaged, or gone by now, no more than that it is somebody."""
    try:
        holder = Holder(**json.loads(require_file(note).read_bytes()))
        if not isinstance(holder.process, str) or not all(isinstance(run, str) for run in holder.runs):
            raise ValueError("not a note")
        return holder
    except (OSError, ValueError, TypeError, RecursionError):
        return Holder("another process", [])


def _acquired(path: Path, timeout: float = -1) -> BaseFileLock:
    """A lock, or a lease where there are no locks; waited for without end where `timeout` is negative.

    Raises Timeout, and StorageError where the system gives neither.
    """
    try:
        return _held(FileLock(path, timeout, fallback_to_soft=False))
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    if not _taken(path):
        _lease(path).unlink(missing_ok=True)  # of a computer that is gone: who looks once would not see that it is
    return _held(SoftFileLease(_lease(path), timeout=timeout, lease_duration=LEASE_SECONDS))


def _held(lock: BaseFileLock) -> BaseFileLock:
    try:
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise StorageError(error.errno, error.strerror or str(error), lock.lock_file) from error
    return lock


def _taken(path: Path) -> bool:
    """Whether a process holds a lock; asked by sharing it for a moment. Of a lease, whether it was touched of late."""
    import fcntl

    with suppress(OSError):
        return time.time() - _lease(path).stat().st_mtime < LEASE_SECONDS
    try:
        with require_file(path).open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # gone
        return False
    return False


def _lease(path: Path) -> Path:
    return path.with_suffix(".lease")


def _locks(folder: Path) -> Path:
    (folder / "state").mkdir(parents=True, exist_ok=True)
    return folder / "state"
