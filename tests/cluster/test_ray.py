"""Sweeps on Ray: two computers' worth of it on loopback, of which parts are killed."""

import contextlib
import importlib
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

import vgexp
from vgexp.networks.activations import ACTIVATIONS
from vgexp.results.columns import TABLES
from vgexp.results.reading import read

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="`pip install 'vgexp[ray]'` brings Ray"),
    pytest.mark.skipif(sys.platform != "linux", reason="other systems have no addresses of loopback to spare"),
]

LIMIT_SECONDS = 240
"""What anything may take on a machine that does a lot else."""
MINE = """
import os, time, torch
from pathlib import Path
from vgexp.networks import ACTIVATIONS, Activation

calls = 0

def phi(z):
    global calls
    calls += 1
    if z.shape[-1] == 9:
        raise ValueError("no nines")
    if calls > 100 and Path("slow").exists():
        time.sleep(0.5)
        if calls > 106:  # some slow steps are over, and saved
            Path(f"slow-{os.getpid()}").touch()
    return torch.tanh(z)

ACTIVATIONS["slowed"] = Activation(phi=phi, slope=lambda z: 1 - torch.tanh(z) ** 2)
"""
"""An activation of the user's own, with which a training gets slow after some steps, as long as there is a file for
it. Its process says so, once there is a state that another can go on with."""
SWEEP = ["data=digits", "model.width=8", "model.activation=slowed", "seed=0,1", "steps=200", "probe.every=10"]
SWEEP += ["name=train"]
DEPTHS = ["model.depth=2,3"]


def until(holds: Callable[[], object], process: subprocess.Popen, said: Path) -> None:
    """Waits for a condition, as long as the process lives that is to bring it about; else shows what it said."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, said.read_text()
        assert process.poll() is None, said.read_text()
        time.sleep(0.02)


class Cluster:
    """Two computers of one CPU each, which are processes of Ray on addresses of loopback that nobody else has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "token").write_text("0123456789abcdef" * 4)
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self._net = f"127.{os.getpid() % 250 + 2}.{os.getpid() // 250 % 250}"
        with socket.create_server((f"{self._net}.1", 0)) as free:
            self.address = f"{self._net}.1:{free.getsockname()[1]}"
        self.nodes: dict[int, subprocess.Popen] = {}

    def start(self, number: int) -> None:
        """Computer 1, the head, or 2; nothing where it runs already."""
        if number in self.nodes and self.nodes[number].poll() is None:
            return
        where = ["--head", f"--port={self.address.split(':')[1]}", "--include-dashboard=false"]
        where = where if number == 1 else [f"--address={self.address}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *where, "--num-cpus=1", "--block"]
        command += [f"--node-ip-address={self._net}.{number}", f"--temp-dir={self.folder}/{number}"]
        command += ["--object-store-memory=100000000", "--disable-usage-stats"]
        log = self.folder / f"node-{number}"
        with log.open("w") as said:
            self.nodes[number] = subprocess.Popen(command, env=self.environment, stdout=said, stderr=said)
        until(lambda: "Ray runtime started" in log.read_text(), self.nodes[number], log)

    def raylet(self, number: int) -> int:
        """The process that is computer 1 or 2 to Ray."""
        [found] = [one.pid for one in self.processes() if f"--node_ip_address={self._net}.{number}" in one.cmdline()]
        return found

    def processes(self) -> list[psutil.Process]:
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if str(self.folder) in " ".join(one.cmdline()):
                    found.append(one)
        return found

    def stop(self) -> None:
        for node in self.nodes.values():
            node.terminate()
        for node in self.nodes.values():
            node.wait(LIMIT_SECONDS)
        psutil.wait_procs(self.processes(), LIMIT_SECONDS)
        assert not self.processes()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as folder:  # short: sockets
        started = Cluster(Path(folder))
        try:
            yield started
        finally:
            started.stop()


class Command:
    """The sweep, typed in a folder with a module of the user's; what it says goes to a file."""

    def __init__(self, cluster: Cluster, *overrides: str) -> None:
        self.said = Path(tempfile.mkstemp(prefix="said-", dir=".")[1])
        line = [sys.executable, "-m", "vgexp", "--import", "slowed", "train", "-m", "hydra/launcher=ray", *SWEEP]
        environment = cluster.environment | {"VGEXP_CHECKPOINT_SECONDS": "0.1"}
        with self.said.open("w") as said:
            self.process = subprocess.Popen(
                [*line, *overrides], env=environment, stdout=said, stderr=said, start_new_session=True
            )

    def until_said(self, text: str, times: int) -> None:
        until(lambda: self.said.read_text().count(text) >= times, self.process, self.said)

    def until_slow(self) -> list[int]:
        """The workers of two jobs, which have become slow."""
        until(lambda: len(list(Path().glob("slow-*"))) == 2, self.process, self.said)
        workers = [int(path.name.partition("-")[2]) for path in Path().glob("slow-*")]
        for path in Path().glob("slow-*"):
            path.unlink()
        return workers

    def ended(self, code: int = 0) -> str:
        """What the command said, once it has ended as expected."""
        self.process.wait(LIMIT_SECONDS)
        assert self.process.returncode == code, self.said.read_text()
        return self.said.read_text()


@pytest.fixture
def typed(cluster, tmp_path) -> Iterator[Callable[..., Command]]:
    (tmp_path / "slowed.py").write_text(MINE)
    commands = []
    yield lambda *overrides: commands.append(Command(cluster, *overrides)) or commands[-1]
    for command in commands:
        command.process.kill()
        command.process.wait()


@pytest.fixture
def on_both(cluster) -> list[str]:
    """What is typed to sweep on both computers."""
    cluster.start(1)
    cluster.start(2)
    return [*DEPTHS, f"hydra.launcher.address={cluster.address}"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict:
    """The tables of the same sweep in this process."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "slowed.py").write_text(MINE)
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.syspath_prepend(folder)
        patch.setitem(ACTIVATIONS, "slowed", None)  # so that it is taken out again
        importlib.import_module("slowed")
        tables = vgexp.run(*SWEEP, *DEPTHS, "threads=1").comparable()
        del sys.modules["slowed"]
    return tables


def assert_equal_to(alone: dict) -> None:
    found = read("results/train").comparable()
    for table in TABLES:
        pd.testing.assert_frame_equal(found[table], alone[table], check_exact=True)


def test_two_computers_share_a_sweep(typed, on_both, alone):
    Path("slow").touch()
    sweep = typed(*on_both)
    sweep.until_slow()  # both at a time, and a computer has one CPU
    Path("slow").unlink()
    # Of one job at least: Ray may end before it has handed on another's last line.
    assert re.search(r"^\(job [01] pid=\d+[^)]*\) slowed [23] x 8, 2 runs: ", sweep.ended(), re.MULTILINE)
    assert_equal_to(alone)
    assert set(read("results/train").runs["threads"]) == {1}


def test_workers_and_a_computer_are_lost(cluster, typed, on_both, alone):
    Path("slow").touch()
    sweep = typed(*on_both)
    one, other = sweep.until_slow()
    os.kill(one, signal.SIGTERM)
    sweep.until_said("resumed at step", 1)
    os.kill(other, signal.SIGKILL)
    sweep.until_said("resumed at step", 2)
    os.kill(cluster.raylet(2), signal.SIGKILL)
    Path("slow").unlink()
    said = sweep.ended()
    assert "state-dump" not in said and all(len(line) < 200 for line in said.splitlines())
    assert_equal_to(alone)


def test_the_command_is_interrupted_and_killed_and_typed_again(typed, on_both, alone):
    Path("slow").touch()
    sweep = typed(*on_both)
    sweep.until_slow()
    os.killpg(sweep.process.pid, signal.SIGINT)
    said = sweep.ended(130)
    assert said.endswith("to go on, type the same command\n")
    assert set(read("results/train").runs["status"]) == {"running"}
    sweep = typed(*on_both)
    sweep.until_said("resumed at step", 2)
    sweep.process.kill()
    Path("slow").unlink()
    sweep = typed(*on_both)
    said = sweep.ended()
    assert said.count("resumed at step") == 2
    assert_equal_to(alone)


def test_a_job_that_fails_stops_no_other(typed):
    """On a Ray of this computer's own."""
    said = typed("model.depth=2", "model.width=9,8").ended(1)
    assert "vgexp: failed: ValueError: no nines" in said.splitlines()[-1]
    runs = read("results/train").runs
    assert runs.groupby("model.width")["status"].unique().to_dict() == {8: ["done"], 9: ["failed"]}
