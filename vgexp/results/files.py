"""Files that a reader sees whole: written beside their place, flushed, and renamed into it.

Whoever writes a file holds the operating system's lock on what lies beside its place. So what a killed process left
there is told from what another process writes at the moment.
"""

import errno
import os
import platform
import secrets
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from vgexp.results.errors import StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

ABANDONED_SECONDS = 3600.0
"""A file that another computer began is abandoned when it has not grown for so long: its lock may not be seen here."""


NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
"""What the system answers where there is no such file, or no such place in it."""


def reason(path: Path, error: Exception) -> str:
    """Why what was written to a path cannot be used, in one line.

    Raises StorageError where the system does not let us read it: it may be whole.
    """
    if isinstance(error, OSError) and error.errno not in {None, *NO_FILE}:
        raise StorageError(error.errno, error.strerror or str(error), str(path)) from error
    return "lost" if isinstance(error, FileNotFoundError) else str(error).split("\n")[0]


def require_file(path: Path) -> Path:
    """The path of a regular file; raises OSError for what is none, as a pipe, which would be waited for without end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a file")
    return path


def write_atomically(path: Path, content: Any | Callable[[Any], None]) -> None:
    """Writes bytes (or lets a function write) beside `path`, flushes to the disk, and renames into place.

    Raises StorageError where the disk or the system refuses; what was there before is there still.
    """
    try:
        _write(path, content)
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise StorageError(refusal.errno, refusal.strerror or str(refusal), str(path)) from error


def remove(path: Path) -> None:
    """Removes a file, if it is there. Raises StorageError where the system refuses."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(error.errno, error.strerror or str(error), str(path)) from error


def remove_abandoned(folder: Path) -> None:
    """Removes what killed processes left beside the files of a folder and of the folders in it, two levels deep."""
    for left in [path for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}.*.tmp")]:
        with suppress(OSError):  # gone by now, or not ours to remove
            _remove_if_abandoned(left)


def set_aside(path: Path) -> None:
    """Renames a damaged file, so that nobody reads it and nothing is lost."""
    if path.exists():
        path.replace(path.with_name(path.name + ".damaged"))


def _write(path: Path, content: Any | Callable[[Any], None]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = _begun(path)
    temporary = Path(stream.name)
    try:
        with stream:
            if callable(content):
                content(stream)
            else:
                stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            if fcntl is not None:
                temporary.replace(path)  # while it is locked
        if fcntl is None:
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _begun(path: Path) -> IO[bytes]:
    """A file beside a path, of a name that no other computer, process or thread gives, and locked."""
    while True:
        name = f".{path.name}.{_host()}.{os.getpid()}.{secrets.token_hex(8)}.tmp"
        stream = (path.parent / name).open("xb")
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_nlink != 0:
            return stream
        stream.close()  # taken for abandoned before it was locked


def _remove_if_abandoned(temporary: Path) -> None:
    old = time.time() - temporary.stat().st_mtime > ABANDONED_SECONDS
    here = f".{_host()}." in temporary.name
    with temporary.open("r+b") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # somebody writes it
                return
            except OSError:  # a file system without locks
                here = False
        if old or (here and fcntl is not None):
            temporary.unlink()


def _host() -> str:
    return platform.node().replace("/", "-") or "host"


def _refusal(error: BaseException | None) -> OSError | None:
    """The system's error behind an error: what encodes a file may raise its own in its place."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
