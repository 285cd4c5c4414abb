"""Results outlive whatever befalls the process that writes them: faults of the disk, and its end, at any call."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def nightly(script, *arguments):
    """What a script says, once it has found nothing wrong."""
    paths = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TESTS / "nightly" / script), *arguments]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.mark.slow
def test_any_call_may_go_wrong():
    """The store holds the old or the new, never part of it, and the same command finishes and tidies."""
    said = nightly("faults.py", "--every", "7")
    assert [line.split(":")[0] for line in said.splitlines()] == ["fails", "full", "dies"], said
    assert all(int(line.split()[1]) > 100 for line in said.splitlines()), said


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="who belongs to a sweep is read from /proc")
@pytest.mark.parametrize(("launcher", "kills"), [("basic", 8), ("joblib", 2)])
def test_a_process_of_the_sweep_is_killed(launcher, kills):
    said = nightly("kills.py", "--launcher", launcher, "--kills", str(kills))
    assert said.startswith(f"{launcher}: {kills} kills"), said


@pytest.mark.slow
@pytest.mark.parametrize("how", ["locks", "leases", "killed"])
def test_eight_processes_share_a_sweep(how):
    said = nightly("crowds.py", how)
    assert said.startswith(f"{how}: 8 processes"), said
