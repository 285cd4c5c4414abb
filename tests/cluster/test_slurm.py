"""Sweeps on a SLURM of two nodes on this machine: arrays of jobs, some requeued, signalled, timed out or killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest

import vgexp

SCRIPT = Path(__file__).with_name("slurm.sh")
SWEEP = ["data=digits", "model.depth=2", "model.width=8", "steps=1000", "seed=0,1", "name=sweep"]
TWO_JOBS = "model.activation=tanh,relu"
PACED = """
import time
from pathlib import Path

from vgexp.training.loop import Training

step = Training.observe_and_update


def paced(training):
    if not Path("go").exists():
        time.sleep(0.2)
    return step(training)


Training.observe_and_update = paced
"""
"""A module for `--import`: without a file `go` in the working folder a job takes minutes."""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """The environment in which sbatch, srun and sacct are those of a SLURM that lasts as long as the tests."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([SCRIPT, "start", folder, str(free_ports())], stderr=subprocess.PIPE, text=True)
    if started.returncode == 3:
        pytest.skip(started.stderr.splitlines()[-1])
    assert started.returncode == 0, started.stderr
    yield {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    subprocess.run([SCRIPT, "stop", folder], check=True)


def free_ports():
    """The first of three ports in a row that nobody listens on, below those that the system gives away."""
    for first in range(20000 + os.getpid() % 1000 * 3, 32000, 3):
        with ExitStack() as stack:
            try:
                for port in range(first, first + 3):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first
    raise AssertionError("no free ports")


@pytest.fixture
def started(slurm, monkeypatch):
    """Starts a sweep of two jobs that are slow until there is a file `go`; returns once both jobs are at work."""
    for key, value in (slurm | {"OMP_NUM_THREADS": "1"}).items():
        monkeypatch.setenv(key, value)
    Path("paced.py").write_text(PACED)
    processes = []

    def start(*launcher):
        process = subprocess.Popen(command(*launcher), stderr=subprocess.PIPE, text=True)
        processes.append(process)
        until(lambda: len(list(Path("results/sweep/state").glob("*.pt"))) == 2, process)
        return process

    yield start
    subprocess.run(["scancel", "--user=root"], check=True)
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def command(*launcher):
    return [sys.executable, "-m", "vgexp", "--import", "paced", "train", "-m", *SWEEP, TWO_JOBS, *launcher]


def until(true, process=None):
    """Waits until something is true, and as long as a process lasts."""
    deadline = time.monotonic() + 150
    while not true():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers():
    """The jobs at work: SLURM's id -> process."""
    found = {}
    for note in Path("results/sweep/state").glob("*.json"):
        pid = int(json.loads(note.read_text())["process"].split()[1])
        environment = dict(re.findall(r"(\w+)=([^\0]*)", Path(f"/proc/{pid}/environ").read_text()))
        found["{SLURM_ARRAY_JOB_ID}_{SLURM_ARRAY_TASK_ID}".format(**environment)] = pid
    return found


def logged(text):
    """In how many jobs' logs a text stands."""
    return sum(text in log.read_text() for log in Path("results/sweep/state/.submitit").glob("*/*_log.*"))


def assert_equals_one_process(monkeypatch, *overrides):
    """The sweep's tables are those of the same sweep trained in this process."""
    found = vgexp.read("results/sweep").comparable()
    Path("alone").mkdir()
    monkeypatch.chdir("alone")
    for name, table in vgexp.run(*SWEEP, *overrides).comparable().items():
        pd.testing.assert_frame_equal(found[name], table)


@pytest.mark.slow
def test_jobs_that_are_requeued_or_signalled_go_on_at_their_step(started, monkeypatch):
    """Of an array whose jobs' time counts as over at once, as every one of ten minutes or less does."""
    sweep = started("hydra/launcher=slurm", "hydra.launcher.timeout_min=5")
    requeued, signalled = workers()
    subprocess.run(["scontrol", "requeue", requeued], check=True)
    subprocess.run(["scancel", "--signal=USR2", signalled], check=True)
    until(lambda: logged("resumed at step") == 2, sweep)
    assert set(vgexp.read("results/sweep").runs["status"]) == {"running"}
    Path("go").touch()
    _, said = sweep.communicate()
    assert sweep.returncode == 0, said
    assert_equals_one_process(monkeypatch, TWO_JOBS)


@pytest.mark.slow
def test_after_a_killed_and_a_timed_out_job_the_same_command_finishes(started, monkeypatch):
    sweep = started("hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5")
    (_, killed), (timed_out, _) = workers().items()
    os.kill(killed, signal.SIGKILL)
    subprocess.run(["scancel", "--signal=USR2", timed_out], check=True)
    _, said = sweep.communicate()
    assert sweep.returncode == 1 and "JobError" in said
    until(lambda: logged("timed-out too many times") == 1)
    assert set(vgexp.read("results/sweep").runs["status"]) == {"running"}
    Path("go").touch()
    again = subprocess.run(command("hydra/launcher=submitit_slurm"), stderr=subprocess.PIPE, text=True)
    assert again.returncode == 0, again.stderr
    assert logged("resumed at step") == 1
    assert_equals_one_process(monkeypatch, TWO_JOBS)


@pytest.mark.slow
def test_submitit_without_slurm(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    line = [sys.executable, "-m", "vgexp", "train", "-m", *SWEEP, "hydra/launcher=submitit_local"]
    done = subprocess.run(line, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in Path().iterdir()} == {"results"}
    assert_equals_one_process(monkeypatch)
