"""A sweep whose processes are killed, one at a random time, again and again; then the same command is to finish it.

`python tests/nightly/kills.py --kills 50 --launcher joblib` prints who was killed, and ends with 1 where the tables
are not exactly those of a sweep that nobody disturbed. It needs Linux: who belongs to a sweep is read from /proc.
"""

import argparse
import ctypes
import faulthandler
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pandas as pd

from vgexp.cli import main as vgexp
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


def load() -> None:
    """Loads what a command needs, so that no fork has to; what is saved on the way is saved often."""
    os.environ |= {"VGEXP_CHECKPOINT_SECONDS": "0.1", "OMP_NUM_THREADS": "1"}
    for name in ("sklearn.datasets", "vgexp.experiments.plan", "vgexp.training"):
        importlib.import_module(name)


def adopt() -> None:
    """Makes this process the parent of those whose own is killed, which would else be nobody's to end."""
    set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(set_child_subreaper, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def begin(launcher: str, place: Path) -> int:
    """Begins the command of the sweep in a folder, in a fork; returns the process."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.chdir(place)
        said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        faulthandler.enable()
        more = LAUNCHERS.get(launcher, [f"hydra/launcher={launcher}"])
        sys.argv = ["vgexp", "train", "-m", *SWEEP, *more]
        vgexp()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)  # workers that wait for more are ended with the orphans


def ended(process: int, seconds: float = LIMIT_SECONDS) -> int | None:
    """How a process ends; None where it has not in so much time."""
    end = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.005)


def planned(place: Path) -> int:
    """When the plan was written last, in nanoseconds; 0 where there is none."""
    path = place / FOLDER / "plan.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def worked(process: int, place: Path, before: int) -> int | None:
    """Waits until a command has planned; how it ended, where it did so first."""
    end = time.monotonic() + LIMIT_SECONDS
    while planned(place) == before:
        code = ended(process, 0)
        if code is not None:
            return code
        if time.monotonic() > end:
            raise hangs(process, place)
    return None


def hangs(process: int, place: Path) -> Exception:
    """What a command said that does not come to an end, and where it is."""
    os.kill(process, signal.SIGABRT)
    ended(process)
    return TimeoutError(f"no end after {LIMIT_SECONDS:.0f} s:\n{(place / 'said').read_text()}")


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and that these started."""
    try:
        tasks = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has ended
        return []
    children = [int(child) for task in tasks for child in task.split()]
    return [*children, *(below for child in children for below in descendants(child))]


def end_orphans() -> None:
    """Ends workers whose parents have ended; again and again, for what /proc lists of processes that end has gaps."""
    with suppress(ChildProcessError):
        while True:
            for orphan in descendants(os.getpid()):
                with suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.01)


def finish(launcher: str, place: Path) -> None:
    """The command, undisturbed."""
    process = begin(launcher, place)
    require_done(ended(process), process, place)


def require_done(code: int | None, process: int, place: Path) -> None:
    if code is None:
        raise hangs(process, place)
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
    code = worked(process, place, before)
    if code is None:
        code = ended(process, chance.uniform(0, span))
    if code is not None:
        require_done(code, process, place)
        return False
    victim = chance.choice([process, *descendants(process)])
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    if ended(process) is None:
        raise hangs(process, place)
    who["parent" if victim == process else "worker"] += 1
    return True


def whole(place: Path) -> float:
    """A sweep that nobody disturbs, in one process; its seconds from the plan on."""
    place.mkdir()
    process = begin("basic", place)
    code = worked(process, place, 0)
    began = time.monotonic()
    require_done(ended(process) if code is None else code, process, place)
    return time.monotonic() - began


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--launcher", default="basic", help="basic, joblib, or the name of a preset")
    options.add_argument("--seed", type=int, default=0, help="of who is killed and when")
    given = options.parse_args()
    load()
    adopt()
    chance, who, sweeps, wrong = random.Random(given.seed), Counter[str](), [], 0
    folder = Path(tempfile.mkdtemp())  # one that removes itself would do so at the end of each fork
    try:
        span = whole(folder / "whole")
        while who.total() < given.kills:
            place = folder / str(len(sweeps))
            place.mkdir()
            sweeps.append(place)
            while killed_once(given.launcher, place, chance, span, who):
                if who.total() == given.kills or chance.random() < 0.3:
                    finish(given.launcher, place)
                    break
            end_orphans()
            print(f"{given.launcher}: {who.total()} kills, {len(sweeps)} sweeps finished", file=sys.stderr, flush=True)
        wanted = read(folder / "whole" / FOLDER)
        for place in sweeps:  # last: what reads has threads, which do not fork
            found = differences(read(place / FOLDER), wanted)
            left = [str(path) for path in (place / FOLDER).rglob(".*.tmp")]
            if found or left:
                wrong += 1
                print("\n".join([*found, *left, (place / "said").read_text()]), file=sys.stderr)
    finally:
        end_orphans()
        shutil.rmtree(folder)
    killed = ", ".join(f"{who[name]} times a {name}" for name in sorted(who))
    print(f"{given.launcher}: {who.total()} kills ({killed}) of {len(sweeps)} sweeps, {wrong} with other tables")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
