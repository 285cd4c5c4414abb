"""Results outlive whatever befalls the process that writes them: faults of the disk, and its end, at any call."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "every"), [("fails", 1), ("dies", 1), ("full", 5)])
def test_every_call_may_go_wrong(kind, every):
    """The store holds the old or the new, never part of it, and the same command finishes and tidies."""
    command = [sys.executable, str(TESTS / "faults.py"), kind, str(every)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert int(found.stdout.split()[1]) > 100, found.stdout
