"""Files that a reader sees whole: written beside their place, flushed, and renamed into it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: Any | Callable[[Any], None]) -> None:
    """Writes bytes (or lets a function write) beside `path`, flushes to the disk, and renames into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as stream:
            if callable(content):
                content(stream)
            else:
                stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def set_aside(path: Path) -> None:
    """Renames a damaged file, so that nobody reads it and nothing is lost."""
    if path.exists():
        path.replace(path.with_name(path.name + ".damaged"))
