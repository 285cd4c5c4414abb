"""Locks are held by processes, which these tests kill."""

import subprocess
import sys
from pathlib import Path

import pytest

from vgexp.results import locks
from vgexp.results.locks import alone, held, holders, noted
from vgexp.results.plans import read_plan

HOLDING = """
import sys, time
from pathlib import Path
from vgexp.results import locks
from vgexp.results.locks import alone, held
with alone(Path("here")):
    taken = held(Path("here"), "s", ["a", "b"])
    taken.__enter__()
print("held", flush=True)
time.sleep(600)
"""
PLANNING = """
import sys
from pathlib import Path
from vgexp.results.plans import changing
for number in range(20):
    with changing(Path("here")) as plan:
        plan["runs"][f"{sys.argv[1]} {number}"] = {}
"""
KILLED = """
import os, signal
from pathlib import Path
from vgexp.results import locks
with locks.alone(Path("here")):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def taken(*runs):
    with alone(Path("here")):
        return [holder.runs for holder in holders(Path("here"))] == list(runs)


def test_a_stack_is_held_while_the_block_lasts():
    with alone(Path("here")):
        block = held(Path("here"), "s", ["a"])
        block.__enter__()
        [holder] = holders(Path("here"))
        assert holder.runs == ["a"] and holder.process.startswith("process ")
    assert noted(Path("here")) == [["a"]]
    block.__exit__(None, None, None)
    assert taken() and noted(Path("here")) == []
    assert [path.name for path in Path("here/state").iterdir()] == ["folder.lock"]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"no": 1}', b'{"process": "x", "runs": [[1]]}', b'{"process": 3, "runs": 7}', b"\xff"]
)
def test_a_damaged_note_stops_nobody(text):
    with alone(Path("here")):
        block = held(Path("here"), "s", ["a"])
        block.__enter__()
        Path("here/state/s.json").write_bytes(text)
        assert [holder.runs for holder in holders(Path("here"))] == [[]]
    assert noted(Path("here")) == [[]]
    block.__exit__(None, None, None)
    Path("here/state/s.json").write_bytes(text)
    assert taken() and noted(Path("here")) == []


def test_what_a_killed_process_held_is_free():
    process = subprocess.Popen([sys.executable, "-c", HOLDING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    assert taken(["a", "b"])
    process.kill()
    process.communicate()
    assert noted(Path("here")) == [["a", "b"]]
    assert taken() and noted(Path("here")) == []


def test_who_is_killed_while_alone_keeps_nobody_out():
    assert subprocess.run([sys.executable, "-c", KILLED]).returncode == -9
    with alone(Path("here")):
        pass


def test_of_runs_that_are_planned_at_once_none_is_lost():
    """Of three writers, while a fourth is killed."""
    writers = [subprocess.Popen([sys.executable, "-c", PLANNING, str(writer)]) for writer in range(4)]
    while not Path("here/plan.json").exists():
        assert writers[0].poll() is None
    writers[0].kill()
    assert [writer.wait() for writer in writers[1:]] == [0, 0, 0]
    runs = read_plan(Path("here"))["runs"]
    assert {f"{writer} {number}" for writer in (1, 2, 3) for number in range(20)} <= set(runs)
    writers[0].wait()


def test_two_cannot_hold_one_stack(monkeypatch):
    monkeypatch.setattr(locks, "LOOK_SECONDS", 0.1)
    with alone(Path("here")):
        block = held(Path("here"), "s", ["a"])
        block.__enter__()
        with pytest.raises(TimeoutError):
            held(Path("here"), "s", ["a"]).__enter__()
    block.__exit__(None, None, None)
