"""Launches: a plan's stacks are trained, in this process or as jobs of a Hydra launcher.

What plans and trains is loaded by the functions that need it, once the overrides are known to be right.
"""

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from vgexp.config import ConfigError, Run, counted, named
from vgexp.experiments.compose import composer, conf_dir, groups, speaking
from vgexp.experiments.config_files import named_where_at_fault
from vgexp.experiments.imports import load_imports
from vgexp.experiments.overrides import check_keys, check_single, latest, quoted
from vgexp.experiments.sweep import first_run, grids

if TYPE_CHECKING:
    from vgexp.experiments.jobs import Job
    from vgexp.experiments.plan import Plan
    from vgexp.results import Results
    from vgexp.results.writing import Store

LOOKS = ("job", "hydra", "all")
"""The parts of the config that can be looked at."""
WAIT_SECONDS = 1.0
"""Time between two looks at what others compute."""


PLAN: ContextVar["Plan"] = ContextVar("PLAN")
"""What the sweeper within the Hydra app launches."""


def run(*overrides: str) -> "Results":
    """Trains a sweep in this process and returns its results: `vgexp.run("model.depth=5,10", "steps=100")`.

    Raises ConfigError for a bad override, Interrupted after Ctrl-C, once all is saved, StorageError where the disk
    refuses, MemoryError for a run that does not fit alone, and what else a training raised, once the others had their
    turn.
    """
    check_keys(overrides, groups())
    with composer() as compose:
        asked = grids(latest(overrides), compose)
    from vgexp.experiments.halving import each
    from vgexp.experiments.plan import plan
    from vgexp.networks.identity import identity
    from vgexp.results import read
    from vgexp.results.writing import Store

    todo = plan(asked, latest(overrides))
    todo.write("vgexp.run(" + ", ".join(map(repr, once(overrides))) + ")")
    store = Store(todo.folder)
    complete(todo, lambda jobs: each([job.runs for job in jobs], lambda runs: [train_stack(runs, store)]))
    results = read(todo.folder)
    return results.select([identity(run) for run in todo.runs])


def start(
    overrides: Sequence[str],
    *,
    sweep: bool = True,
    config_dir: Path | None = None,
    look: str | None = None,
    dry: bool = False,
) -> Path | None:
    """Plans a sweep, and runs the Hydra app, whose launcher is handed the stacks that are left to do.

    Without `sweep`, choices are refused. `config_dir` is searched for config files too. `look` prints
    that part of the config and runs nothing; `dry` prints the stacks that would be computed, and writes nothing.
    Returns the folder of the results, or None where nothing was to be run. Raises
    ConfigError for a bad override, and what a job raised.
    """
    if look not in (None, *LOOKS):
        raise ConfigError("--cfg", look, ", ".join(LOOKS))
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError("--config-dir", str(config_dir), "a folder")
    overrides = latest([quoted(override) for override in overrides])
    check_keys(overrides, groups())
    if look is not None:
        check_single(overrides, " with --cfg")
    if not sweep:
        check_single(overrides)
    dirs = [] if config_dir is None else ["--config-dir", str(config_dir.absolute())]
    if look is not None:
        with named_where_at_fault(config_dir, overrides), composer(config_dir) as compose:
            first_run(overrides, compose)
        _app(["--cfg", look, *dirs, *overrides])
        return None
    with named_where_at_fault(config_dir, overrides), composer(config_dir, launched=True) as compose:
        asked = grids(overrides, compose, config_dir)
    from vgexp.experiments.plan import plan  # loads torch: what is wrong with the overrides is known by now

    todo = plan(asked, overrides)
    if dry:
        from vgexp.experiments.outline import outline

        print(outline(todo))
        return None
    todo.write(shlex.join(["vgexp", *once(sys.argv[1:])]))
    if todo.jobs:
        token = PLAN.set(todo)
        try:
            _app(["--multirun", *dirs, *overrides])
        finally:
            PLAN.reset(token)
    return todo.folder


def job(config: DictConfig) -> list[str]:
    """Trains the stack of a composed config, and says which runs were left out: the task that a launcher is given."""
    from vgexp.experiments.checks import check_run
    from vgexp.experiments.jobs import folder_of_job, received
    from vgexp.results.writing import Store

    load_imports()
    runs, path = received(config), Path(config.members)
    if not runs:
        return []
    for run in runs:
        check_run(run)
    left = train_stack(runs, Store(folder_of_job(path)))
    if not left:  # who computes them needs the file, if it is interrupted and starts again
        path.unlink(missing_ok=True)
    return left


def train_stack(runs: Sequence[Run], store: "Store") -> list[str]:
    """Trains a stack without the runs that are done or that another process computes, the ids of which it returns.

    A stack that runs out of memory is trained as two. Another error is recorded as its runs' status and raised again;
    but a disk that refuses is no fault of theirs.
    """
    from vgexp.experiments.halving import each, halve, is_out_of_memory, too_large
    from vgexp.networks.identity import identity
    from vgexp.results import StorageError
    from vgexp.training import Interrupted, describe, stop_requests, train

    halves, message = [], ""
    with stop_requests() as stopped, store.hold(runs) as (mine, elsewhere):
        for process in dict.fromkeys(elsewhere.values()):
            left = [run for run in runs if elsewhere.get(identity(run)) == process]
            print(f"{describe(left)}: left to {process}, which computes them", file=sys.stderr, flush=True)
        if mine:
            try:
                train(mine, store, stopped)
            except StorageError:
                raise
            except Exception as error:
                if not is_out_of_memory(error):
                    with suppress(StorageError):
                        store.fail(mine, named(error))
                    raise
                message = too_large(mine[0])
        if message:  # what the training took is free by now
            halves = halve(mine, store)
            if not halves:
                store.fail(mine, message)
                raise MemoryError(message)
    if stopped():  # before there was anything to train or since, as while locks are given back
        raise Interrupted
    return [*elsewhere, *each(halves, lambda half: train_stack(half, store))]


def complete(todo: "Plan", launch: "Callable[[list[Job]], list[list[str]]]") -> None:
    """Launches the jobs of a plan, and waits for the runs that other processes compute; where these end without having
    done them, their runs are launched too.

    `launch` returns for each job the runs that were left to others.
    """
    from vgexp.experiments.progress import told

    with told(todo.folder, todo.runs) if len(todo.jobs) > 1 else nullcontext():
        _complete(todo, launch)
    require_done(todo)
    if todo.jobs and todo.runs[0].logger == "wandb":
        from vgexp.pages import Content, render
        from vgexp.results import read
        from vgexp.results.wandb import publish

        publish(todo.folder, render([todo.folder], read(todo.folder), Content()))


def _complete(todo: "Plan", launch: "Callable[[list[Job]], list[list[str]]]") -> None:
    from vgexp.results.writing import Store

    store, ready, waiting = Store(todo.folder), todo.jobs, []
    while ready:
        left = launch(ready)
        waiting += [job.only(ids) for job, ids in zip(ready, left, strict=True) if ids]
        ready, said = [], False
        while waiting and not ready:
            elsewhere = store.elsewhere()
            free = [job for job in waiting if elsewhere.isdisjoint(job.ids())]
            if free:
                done = store.done(tables=False)
                waiting = [job for job in waiting if job not in free]
                ready = [job for job in (job.only(set(job.ids()) - done) for job in free) if job.runs]
            else:
                if not said:
                    runs = counted(sum(len(job.runs) for job in waiting), "run")
                    print(f"vgexp: waiting for {runs} that others compute; Ctrl-C ends the wait", file=sys.stderr)
                said = True
                time.sleep(WAIT_SECONDS)


def require_done(todo: "Plan") -> None:
    """Raises RuntimeError where a launch has ended and left runs undone without an error: its workers had no part in
    this folder."""
    from vgexp.networks.identity import identity
    from vgexp.results.writing import Store

    done = Store(todo.folder).done(tables=False)
    lacking = sum(identity(run) not in done for run in todo.runs)
    if lacking:
        which = f"{lacking} of {counted(len(todo.runs), 'run')} not done though all jobs have ended"
        raise RuntimeError(f"{todo.folder.absolute()}: {which}; the same command goes on")


def once(arguments: Sequence[str]) -> list[str]:
    """Arguments that go on with a computation: what is asked for again by `rerun` is so only once."""
    return [argument for argument in arguments if argument.lstrip("+").split("=")[0] != "rerun"]


def _app(arguments: Sequence[str]) -> None:
    """Runs the Hydra app on its arguments, which it reads in `sys.argv`; errors are raised where it would print them.

    SIGTERM interrupts it as Ctrl-C does; otherwise the workers of a launcher would outlive it.
    """
    typed_argv, sys.argv = sys.argv, ["vgexp", *arguments]
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with speaking(arguments):
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()
    finally:
        signal.signal(signal.SIGTERM, handler)
        sys.argv = typed_argv
