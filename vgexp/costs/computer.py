"""The computer: the memory that this process may use, which in a container may be less than the machine's."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")
"""Where Linux says what a process may use; a test looks elsewhere."""


def memory() -> int:
    """Bytes: the machine's, or the least that a control group (version 1 or 2) or `ulimit -v` leaves to the process."""
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_address_space(), *_group_memory()])


def _address_space() -> Iterator[int]:
    with suppress(ImportError):  # Windows has none
        import resource

        for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            soft, _ = resource.getrlimit(kind)
            if soft != resource.RLIM_INFINITY:
                yield soft


def _group_memory() -> Iterator[int]:
    for controllers, folder in _groups():
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        if controllers in ("", "memory") and (numbers := _numbers(folder / name)):
            yield numbers[0]


def _groups() -> Iterator[tuple[str, Path]]:
    """The process's control groups and those above them: the controllers of version 1, or "" for 2, and the folder.

    A container may see its own group as the root: then the path is not there, and the mount point is what counts.
    """
    with suppress(OSError):
        for line in (ROOT / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            mount = ROOT / "sys/fs/cgroup" / controllers
            folder = mount / path.strip("/")
            yield from ((controllers, above) for above in (folder, *folder.parents) if above.is_relative_to(mount))


def _numbers(file: Path) -> list[int]:
    """The integers in a file; none where it says `max`, or is not there."""
    try:
        return [int(word) for word in file.read_text().split()]
    except (OSError, ValueError):
        return []
