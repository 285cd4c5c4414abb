import multiprocessing
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from vgexp.results import files
from vgexp.results.errors import StorageError
from vgexp.results.files import remove_abandoned, write_atomically

WRITING = """
import sys
from pathlib import Path
from vgexp.results.files import write_atomically
def content(stream):
    stream.write(b"half")
    stream.flush()
    print("half", flush=True)
    sys.stdin.readline()
    stream.write(b" and half")
write_atomically(Path("here/file"), content)
"""


@pytest.fixture
def writer():
    """A process that has written half of here/file; it writes the rest when it is told something."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    yield process
    process.kill()
    process.communicate()


def left(folder="here"):
    return [path.name for path in Path(folder).iterdir()]


def test_every_write_is_all_or_nothing(tmp_path, monkeypatch):
    """A fault at fsync or at the rename leaves the old content and no litter."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    for fault in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(fault, lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
            with pytest.raises(StorageError, match="disk full") as caught:
                write_atomically(path, b"new")
        assert (caught.value.errno, caught.value.filename) == (28, str(path))
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_writes_may_hide_the_systems_error(tmp_path):
    """As torch does, whose error says nothing of a disk."""

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def write(self, content):
            raise OSError(28, "disk full")

    with pytest.raises(StorageError, match="disk full"):
        write_atomically(tmp_path / "file", lambda stream: torch.save({"w": torch.zeros(1000)}, Full(stream)))
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_content_is_its_own(tmp_path):
    with pytest.raises(ValueError, match="no content"):
        write_atomically(tmp_path / "file", lambda _: (_ for _ in ()).throw(ValueError("no content")))
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_writes_stays(writer):
    remove_abandoned(Path("here"))
    remove_abandoned(Path())
    [name] = left()
    assert name.startswith(f".file.{platform.node()}.{writer.pid}.") and name.endswith(".tmp")
    writer.communicate("go on")
    assert writer.returncode == 0 and left() == ["file"]
    assert Path("here/file").read_bytes() == b"half and half"


@pytest.mark.parametrize("folder", ["here", "."])
def test_what_a_killed_process_left_goes(writer, folder):
    writer.kill()
    writer.wait()
    assert len(left()) == 1
    remove_abandoned(Path(folder))
    assert left() == []


@pytest.mark.parametrize("hour", [False, True])
def test_what_another_computer_left_goes_after_an_hour(hour):
    """Its lock may not be seen from here."""
    path = Path("here/.file.other.1.0123456789abcdef.tmp")
    path.parent.mkdir()
    path.touch()
    if hour:
        long_ago = time.time() - files.ABANDONED_SECONDS - 1
        os.utime(path, (long_ago, long_ago))
    remove_abandoned(Path("here"))
    assert path.exists() != hour


def _write_many(path, number):
    for turn in range(50):
        write_atomically(path, f"{number} {turn}".encode() * 1000)
        remove_abandoned(path.parent)


def test_several_write_and_tidy_one_file_at_once():
    """Nobody takes another's file for abandoned, not even in the moment between its opening and its lock."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(Path("here/file").absolute(), i)) for i in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [process.exitcode for process in writers] == [0] * 4
    content = Path("here/file").read_bytes()
    assert len(set(content[i : i + len(content) // 1000] for i in range(0, len(content), len(content) // 1000))) == 1
    assert left() == ["file"]
