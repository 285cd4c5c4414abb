"""Launches: a plan's stacks are trained, in this process or as jobs of a Hydra launcher."""

import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import hydra
from omegaconf import DictConfig

from vgexp.config import Run
from vgexp.experiments.checks import check_run
from vgexp.experiments.compose import composer, conf_dir, groups, speaking, typed
from vgexp.experiments.imports import load_imports
from vgexp.experiments.overrides import check_keys, fields_of, first_line, quoted
from vgexp.experiments.plan import first_run, folder_of, plan
from vgexp.networks.identity import identity
from vgexp.results import Results, read
from vgexp.results.writing import Store
from vgexp.training import Interrupted, train

LOOKS = {"--cfg", "-c", "--info", "-i"}
"""Hydra's flags that show the config and run nothing."""

COMMAND: ContextVar[str] = ContextVar("COMMAND")
"""The command as the person typed it, for the plan. `sys.argv` does not say it: Hydra reads its own arguments there."""


def run(*overrides: str) -> Results:
    """Trains a sweep in this process and returns its results: `vgexp.run("model.depth=5,10", "steps=100")`.

    Raises ConfigError for a bad override.
    """
    with composer() as compose:
        todo = plan(overrides, compose)
    todo.write("vgexp.run(" + ", ".join(map(repr, overrides)) + ")")
    for job in todo.jobs:
        train_stack(job.runs, Store(todo.folder))
    results = read(todo.folder)
    return results.select([identity(run) for run in todo.runs])


def start(arguments: Sequence[str]) -> Path | None:
    """Runs the Hydra app on overrides and Hydra's own flags: it plans a sweep and hands its stacks to a launcher.

    Returns the folder of the results, or None where a flag asks to see the config only. Raises ConfigError for a bad
    override, and what a job raised.
    """
    load_imports()
    arguments = [quoted(argument) for argument in arguments]
    fields = fields_of(arguments)
    check_keys(fields, groups())
    looks = bool(LOOKS & set(arguments))
    with speaking(arguments), _process_of_hydra(arguments if looks else ["--multirun", *arguments]):
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()
    if looks:
        return None
    with composer() as compose:
        return folder_of(first_run(fields, compose))


def job(config: DictConfig) -> None:
    """Trains the stack of a composed config: the task that a launcher is given."""
    load_imports()
    members = config.members or [[]]
    base = typed(config)
    config = config.copy()
    config.members = None
    runs = [typed(config, list(member)) for member in members]
    for run in runs:
        check_run(run)
    train_stack(runs, Store(folder_of(base)))


def train_stack(runs: Sequence[Run], store: Store) -> None:
    """Trains a stack; an error is recorded as its runs' status and raised again."""
    try:
        train(runs, store)
    except Interrupted:
        raise
    except Exception as error:
        store.fail(runs, f"{type(error).__name__}: {first_line(error)}")
        raise


@contextmanager
def _process_of_hydra(arguments: Sequence[str]) -> Iterator[None]:
    """The process as the Hydra app needs it: its arguments in `sys.argv`, and errors raised where it would print them.

    SIGTERM interrupts it as Ctrl-C does; otherwise the workers of a launcher would outlive it.
    """
    typed_argv, sys.argv = sys.argv, ["vgexp", *arguments]
    command = COMMAND.set(shlex.join(["vgexp", *typed_argv[1:]]))
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        COMMAND.reset(command)
        sys.argv = typed_argv
