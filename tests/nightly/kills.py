"""A sweep whose processes are killed, one at a random time, again and again; then the same command is to finish it.

`python tests/nightly/kills.py --kills 50 --launcher joblib` prints who was killed, and ends with 1 where the tables
are not exactly those of a sweep that nobody disturbed. It needs Linux: who belongs to a sweep is read from /proc.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from vgexp.results.reading import read
from vgexp.results.tables import Results

SWEEP = (
    "data=digits",
    "model.depth=3",
    "model.width=16",
    "model.activation=tanh,relu",
    "seed=0,1",
    "steps=200",
    "optim=momentum",
    "probe=full",
    "probe.every=10",
    "probe.histograms=100",
    "eval.every=100",
    "threads=1",
    "name=sweep",
)
LAUNCHERS = {
    "basic": [],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
}
"""What is added to the command; any other name is that of a preset: hydra/launcher=NAME."""
FOLDER = Path("results/sweep")
LIMIT_SECONDS = 600.0
"""The longest that a command may take, on a machine however slow."""


def begin(launcher: str, place: Path) -> subprocess.Popen[bytes]:
    """The command of the sweep in a folder."""
    more = LAUNCHERS.get(launcher, [f"hydra/launcher={launcher}"])
    environment = os.environ | {"VGEXP_CHECKPOINT_SECONDS": "0.1", "OMP_NUM_THREADS": "1"}
    with (place / "said").open("ab") as said:
        command = [sys.executable, "-m", "vgexp", "train", "-m", *SWEEP, *more]
        return subprocess.Popen(command, cwd=place, env=environment, stdout=said, stderr=said)


def planned(place: Path) -> int:
    """When the plan was written last, in nanoseconds; 0 where there is none."""
    path = place / FOLDER / "plan.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def worked(process: subprocess.Popen[bytes], place: Path, before: int) -> bool:
    """Waits until a command has planned; False where it ended first."""
    end = time.monotonic() + LIMIT_SECONDS
    while process.poll() is None and planned(place) == before:
        if time.monotonic() > end:
            process.kill()
            raise TimeoutError("a sweep did not even begin")
        time.sleep(0.01)
    return process.poll() is None


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and that these started."""
    try:
        tasks = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has ended
        return []
    children = [int(child) for task in tasks for child in task.split()]
    return [*children, *(below for child in children for below in descendants(child))]


def finished(process: subprocess.Popen[bytes], place: Path) -> None:
    code = process.wait(LIMIT_SECONDS)
    if code != 0:
        raise AssertionError(f"the same command ended with {code}:\n{(place / 'said').read_text()}")


def differences(one: Results, other: Results) -> list[str]:
    """What is not exactly equal."""
    found = list(one.damaged)
    for name, table in one.comparable().items():
        wanted = other.comparable()[name].drop(columns="folder", errors="ignore")
        try:
            pd.testing.assert_frame_equal(table.drop(columns="folder", errors="ignore"), wanted, check_exact=True)
        except AssertionError as error:
            found.append(f"{name}: {error}")
    return found


def killed_once(launcher: str, place: Path, chance: random.Random, span: float, who: Counter[str]) -> bool:
    """Begins the command and kills one of its processes; False where it ended before."""
    before = planned(place)
    process = begin(launcher, place)
    if not worked(process, place, before):
        finished(process, place)
        return False
    try:
        process.wait(chance.uniform(0, span))
        finished(process, place)
        return False
    except subprocess.TimeoutExpired:
        workers = descendants(process.pid)
        victim = chance.choice([process.pid, *workers])
        os.kill(victim, signal.SIGKILL)
        process.wait(LIMIT_SECONDS)
        who["parent" if victim == process.pid else "worker"] += 1
        return True


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--launcher", default="basic", help="basic, joblib, or the name of a preset")
    options.add_argument("--seed", type=int, default=0, help="of who is killed and when")
    given = options.parse_args()
    chance, who, wrong, sweeps = random.Random(given.seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as name:
        whole = Path(name, "whole")
        whole.mkdir()
        process = begin(given.launcher, whole)
        worked(process, whole, 0)
        began = time.monotonic()
        finished(process, whole)
        span = time.monotonic() - began
        while who.total() < given.kills:
            place = Path(name, str(sweeps))
            place.mkdir()
            sweeps += 1
            while killed_once(given.launcher, place, chance, span, who):
                if who.total() == given.kills or chance.random() < 0.3:
                    finished(begin(given.launcher, place), place)
                    break
            print(f"{given.launcher}: {who.total()} kills, {sweeps} sweeps finished", file=sys.stderr, flush=True)
            found = differences(read(place / FOLDER), read(whole / FOLDER))
            left = [str(path) for path in (place / FOLDER).rglob(".*.tmp")]
            if found or left:
                wrong += 1
                print("\n".join([*found, *left, (place / "said").read_text()]), file=sys.stderr)
    killed = ", ".join(f"{who[name]} times a {name}" for name in sorted(who))
    print(f"{given.launcher}: {who.total()} kills ({killed}) of {sweeps} sweeps, {wrong} with other tables")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
