"""A small sweep in which the n-th call that touches its folder fails, or its process dies there.

`python tests/nightly/faults.py [--kinds KIND ...] [--every N]` walks over all of its calls, or over every n-th of them,
for each kind beginning with another, and prints how many there were and what had gone wrong. Each try is a fork of this
process, so that what it needs is loaded once.
"""

import argparse
import errno
import gc
import io
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from samples import small

from vgexp.experiments.launch import train_stack
from vgexp.figures.pictures import Picture, svg
from vgexp.networks.identity import identity
from vgexp.pages import page
from vgexp.pages.page import Content, write_report
from vgexp.results.files import write_atomically
from vgexp.results.reading import read
from vgexp.results.tables import Results
from vgexp.results.writing import Store
from vgexp.training.loop import Training
from vgexp.training.saves import Saves

OLD = [small(steps=1, model__activation="relu")]
"""A stack that is there before."""
NEW = [small(steps=1), small(steps=1, seed=1)]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT, errno.EINTR)
KINDS = ("fails", "full", "dies")
OLD_FOLDER, NEW_FOLDER = Path("results/old"), Path("results/new")
DIED = 77
CALLS = ("open", "fsync", "replace", "rename", "mkdir", "unlink", "link")
"""Functions of `os`."""


def sweep(runs: Sequence[Any], folder: Path) -> None:
    """Plan, train, save half-way, evaluate, report: all that is written into a folder."""
    store, ids = Store(folder), [identity(run) for run in runs]
    stacks = [] if set(ids) <= store.done() else [runs]
    store.plan(runs, {f"of {len(runs)}": ids}, f"vgexp train {len(runs)}", stacks=stacks)
    for stack in stacks:
        train_stack(stack, store)
    results = read(folder)
    write_atomically(folder / "claims.csv", results.runs[["run"]].to_csv(index=False).encode())
    frame = results.steps[["run", "step", "train_loss"]]
    write_report(folder, results, Content(pictures={"loss": Picture(Figure(figsize=(1, 1)), "Loss.", frame)}))


class Faults:
    """Counts the calls that touch a folder, and lets one of them go wrong."""

    def __init__(self, folder: Path, kind: str, at: int) -> None:
        self.folder, self.kind, self.at, self.count = folder.absolute(), kind, at, 0
        self.hit = ""

    def meet(self, name: str, path: Any, half: Callable[[], Any] | None = None) -> None:
        """A call; `half` does half of it."""
        self.count += 1
        if self.count == self.at:
            self.hit = f"{name} {path}"
        if self.count == self.at and half is not None:
            half()
        if self.count == self.at and self.kind == "dies":
            os._exit(DIED)
        if self.count == self.at and self.kind == "fails":
            number = ERRORS[self.at % len(ERRORS)]
            raise OSError(number, os.strerror(number), None if name in ("write", "fsync") else str(path))
        if self.count >= self.at and self.kind == "full" and name in ("open", "write", "mkdir", "fsync"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), None if name in ("write", "fsync") else str(path))

    def install(self) -> None:
        opened, faults = io.open, self

        class Raw(io.FileIO):
            def write(self, content: Any) -> int:
                faults.meet("write", self.name, lambda: super(Raw, self).write(content[: len(content) // 2]))
                return super().write(content)

        def opening(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            if not self.within(file):
                return opened(file, mode, *more, **named)
            if self.kind != "full" or mode != "rb":  # a full disk can be read
                self.meet("open", file)
            return io.BufferedWriter(Raw(os.fspath(file), mode)) if mode in ("wb", "xb") else opened(file, mode, *more)

        io.open = opening
        for name in CALLS:
            setattr(os, name, self.counting(name, getattr(os, name)))

    def counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(path: Any, *more: Any, **named: Any) -> Any:
            if isinstance(path, int) or self.within(path):
                self.meet(name, path)
            return function(path, *more, **named)

        return counted

    def within(self, path: Any) -> bool:
        return isinstance(path, (str, Path)) and Path(path).absolute().is_relative_to(self.folder)


def apart(function: Callable[..., int], *given: Any) -> int:
    """What a function returns, in a process of its own; 1 where it raised, which is printed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = function(*given)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def faulty(folder: Path, kind: str, at: int) -> int:
    """0 after a sweep that went wrong, 3 after one with fewer calls than `at`."""
    faults = Faults(folder, kind, at)
    faults.install()
    try:
        sweep(NEW, folder)
    except OSError as error:
        assert error.filename is not None and error.errno is not None, f"{faults.hit}: {error!r} does not name the file"
    return 3 if faults.count < at else 0


def whole(folder: Path, before: dict[str, pd.DataFrame], after: dict[str, pd.DataFrame], died: bool) -> int:
    """Nothing of the old is lost and nothing of the new half there; the same command finishes and tidies."""
    found = read(folder)
    assert found.damaged == [], found.damaged
    assert "failed" not in set(found.runs["status"]), found.runs["message"].tolist()
    done = found.runs.loc[found.runs["status"] == "done", "run"].tolist()
    for name, table in before.items():
        assert_same(tables(found.select([identity(run) for run in OLD]))[name], table)
    for name, table in after.items():
        assert_same(tables(found.select(done))[name], table[table["run"].isin(done)].reset_index(drop=True))
    if not died:
        assert not litter(folder), litter(folder)
    for written in ("claims.csv", "report.html", "figures/loss.svg", "figures/loss.png"):
        assert (folder / written).stat().st_size > 0
    sweep(NEW, folder)
    for name, table in tables(read(folder)).items():
        assert_same(table, after[name])
    assert not litter(folder), litter(folder)
    assert [path.name for path in (folder / "state").iterdir()] == ["folder.lock"], list((folder / "state").iterdir())
    return 0


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Those that hold something, without where it lies."""
    found = {name: table.drop(columns="folder", errors="ignore") for name, table in results.comparable().items()}
    return {name: table for name, table in found.items() if len(table)}


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other[list(one)], check_dtype=False)


def litter(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.suffix in (".tmp", ".damaged")]


def kept(folder: Path, path: Path) -> int:
    """Keeps the tables of a folder for a process that reads none itself: what reads has threads, which do not fork."""
    pd.to_pickle(tables(read(folder)), path)
    return 0


def warm_up() -> None:
    """Loads what a sweep loads, and trains once in memory, so that no fork has to: it reads and writes nothing."""
    training = Training(NEW, Store(Path("nowhere")))
    while not training.done:
        training.observe_and_update()
    training.saves.runs_rows(training.step, training.records.tables(), "done")
    svg(Figure(figsize=(1, 1)))
    gc.freeze()


def prepared() -> list[dict[str, pd.DataFrame]]:
    """Makes what every try begins with and what it is to end with in the current folder; returns the tables of both."""
    Saves.due = lambda self, _: self._stack.taken == 1  # half-way
    page.render = lambda *_: "a page"  # its making writes nothing
    warm_up()
    for made in (OLD_FOLDER, NEW_FOLDER):
        assert apart(lambda made=made: sweep(OLD, made) or 0) == 0
    assert apart(lambda: sweep(NEW, NEW_FOLDER) or 0) == 0
    found = []
    for made in (OLD_FOLDER, NEW_FOLDER):
        assert apart(kept, made, Path("tables").absolute()) == 0
        found.append(pd.read_pickle("tables"))
    return found


def walk(kind: str, first: int, every: int, wanted: Sequence[dict[str, pd.DataFrame]]) -> int:
    """How many calls went wrong in a way that they should not."""
    ends, at, wrong, folder = Counter[int](), first, 0, Path("results/tried")
    while not ends[3]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(OLD_FOLDER, folder)
        code = apart(faulty, folder, kind, at)
        ends[code] += 1
        if code not in (0, 3, DIED) or apart(whole, folder, *wanted, code == DIED):
            print(f"{kind} at call {at}: ended with {code}", file=sys.stderr)
            wrong += 1
        at += every
    print(f"{kind}: {at - every - 1} calls, {sum(ends.values()) - 1} tried, {ends[DIED]} died, {wrong} wrong")
    return wrong


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    options.add_argument("--every", type=int, default=1)
    given = options.parse_args()
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # what is flushed need not reach a disk
    with tempfile.TemporaryDirectory(dir=fast) as name:
        os.chdir(name)
        wanted = prepared()
        wrong = [walk(kind, 1 + KINDS.index(kind) % given.every, given.every, wanted) for kind in given.kinds]
    return int(any(wrong))


if __name__ == "__main__":
    sys.exit(main())
