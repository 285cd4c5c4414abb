"""Several processes that are given the same sweep and folder at the same moment; half of them ask for some runs more.

`python tests/nightly/crowds.py HOW [PROCESSES]` ends with 1 where a stack was trained twice, a run or a command of the
plan lost, or a table is another than that of one process alone. HOW: `locks`; `leases`, as on a file system that has no
locks; `killed`, with locks, where whoever begins the first stack is killed in the middle of it.
"""

import errno
import fcntl
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

import vgexp.experiments.plan
import vgexp.training
from vgexp.experiments import launch
from vgexp.results.plans import read_plan
from vgexp.results.reading import read
from vgexp.training.loop import Training

importlib.import_module("sklearn.datasets")  # which each member would load

SHARED = ("data=digits", "model.depth=2", "model.width=8", "model.norm=none,layer,batch", "seed=0,1", "steps=20")
SWEEPS = (("model.activation=tanh", *SHARED), ("model.activation=tanh,relu", *SHARED))
STACKS = 6
"""Of the larger sweep, which has the stacks of the smaller one."""


def noting(log: Path, dies: bool) -> None:
    """Adds a line to a file for each training; where `dies`, the first of them all ends its process in the middle."""
    train, step = vgexp.training.train, Training.observe_and_update

    def noted(runs: Any, *more: Any) -> None:
        with log.open("a") as lines:
            lines.write(f"{runs[0].model.activation} {runs[0].model.norm} {[run.seed for run in runs]} {os.getpid()}\n")
        train(runs, *more)

    def stepped(self: Training) -> Any:
        if dies and self.step == 10 and log.read_text().split("\n")[0].endswith(f" {os.getpid()}"):
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self)

    vgexp.training.train = noted
    Training.observe_and_update = stepped


def without_locks(*_: Any) -> None:
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def member(number: int, log: Path, go: Path, how: str) -> None:
    noting(log, how == "killed")
    if how == "leases":
        fcntl.flock = without_locks
    launch.WAIT_SECONDS = 0.05
    while not go.exists():
        time.sleep(0.001)
    vgexp.run(*SWEEPS[number % 2], "name=crowd")


def crowd(how: str, processes: int) -> list[str]:
    """What is wrong."""
    log, go = Path("trainings").absolute(), Path("go").absolute()
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                member(number, log, go, how)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    go.touch()
    codes = Counter(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)
    killed = int(how == "killed")
    expected = +Counter({0: processes - killed, -signal.SIGKILL: killed})
    wrong = [] if codes == expected else [f"ended: {codes}"]
    trained = Counter(line.rsplit(" ", 1)[0] for line in log.read_text().splitlines())
    if len(trained) != STACKS or trained.total() != STACKS + killed:
        wrong.append(f"{STACKS} stacks were trained so many times: {dict(trained)}")
    plan = read_plan(Path("results/crowd"))
    if len(plan["runs"]) != 2 * STACKS or len(plan["commands"]) != len(SWEEPS):
        wrong.append(f"in the plan: {len(plan['runs'])} runs, {len(plan['commands'])} commands")
    vgexp.run(*SWEEPS[1], "name=alone")
    found, wanted = read("results/crowd"), read("results/alone")
    for name, table in found.comparable().items():
        other = wanted.comparable()[name]
        try:
            same = table.drop(columns=["folder", "name"], errors="ignore")
            pd.testing.assert_frame_equal(same, other[list(same)], check_exact=True)
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    left = {path.name for path in Path("results/crowd/state").rglob("*") if path.is_file()} - {"folder.lock"}
    return [*wrong, *(f"left: {name}" for name in sorted(left))]


def main() -> int:
    how, processes = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        found = crowd(how, processes)
    print("\n".join(found) or f"{how}: {processes} processes, {STACKS} stacks, nothing twice and nothing lost")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
