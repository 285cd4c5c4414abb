"""Experiments: plan a sweep, train its stacks, read its results.

Everything is composed, typed and checked before anything starts; what is already done is not computed again.
"""

import importlib
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from vgexp.config import ConfigError, Run, check, identity
from vgexp.data import DATASETS, Unavailable, dataset
from vgexp.experiments import sweep
from vgexp.experiments.sweep import Compose, Stack
from vgexp.networks import ACTIVATIONS, INITIALIZERS, LOSSES, MODELS, OPTIMIZERS, bytes_per_member
from vgexp.numerics import TIERS
from vgexp.results import Results, Store, read, tensorboard
from vgexp.training import Interrupted, train

MEMORY_SHARE = 0.25
"""Of the machine's memory, for one stack."""
IMPORTS = "VGEXP_IMPORT"
"""Modules of the user, imported by every process that composes or trains."""

ConfigStore.instance().store(name="run", node=Run)
TYPED = list(sys.argv)
"""The command line as it was typed: Hydra is given another."""


@dataclass
class Plan:
    """What an experiment will do."""

    folder: Path
    runs: list[Run]
    grids: dict[str, list[str]]
    stacks: list[Stack]
    left_out: dict[str, str]
    """Grid -> why it cannot be run on this computer."""

    def write(self, command: str) -> None:
        Store(self.folder).plan(self.runs, self.grids, command, self.left_out)


def plan(overrides: Sequence[str], compose: Compose) -> Plan:
    """Composes and checks every run of a sweep, or of an experiment's grids where the config has a `scale`.

    Raises ConfigError at the first thing that is wrong; nothing has been written then.
    """
    load_imports()
    sweep.check_keys(overrides, groups())
    first = sweep.typed(compose(sweep.expand(overrides).jobs[0]))
    grids = {"": []} if first.scale is None else _grids(first)
    planned: list[tuple[list[str], Run]] = []
    members: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for name, grid in grids.items():
        try:
            runs = sweep.runs_of([*_without(grid, overrides), *overrides], compose, check_run)
        except Unavailable as error:
            if first.scale is None:
                raise
            left_out[name] = error.reason
            continue
        members[name] = list(dict.fromkeys(identity(run) for _, run in runs))
        planned += runs
    if not planned:
        raise ConfigError("scale", first.scale, "a scale with something to run: " + "; ".join(left_out.values()))
    folders = {folder_of(run) for _, run in planned}
    if len(folders) > 1:
        raise ConfigError("name", sorted(map(str, folders)), "one folder a sweep")
    folder = folders.pop()
    done = set() if first.rerun else Store(folder).done()
    stacks = sweep.stacks(planned, limit, lambda run: identity(run) in done)
    members.pop("", None)
    return Plan(folder, list({identity(run): run for _, run in planned}.values()), members, stacks, left_out)


def job(config: DictConfig) -> None:
    """Trains the stack of a composed config: the task that a launcher is given."""
    load_imports()
    members = config.members or [[]]
    base = sweep.typed(config)
    config = config.copy()
    config.members = None
    runs = [sweep.typed(config, list(member)) for member in members]
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
        store.fail(runs, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        raise


def run(*overrides: str) -> Results:
    """Trains a sweep in this process and returns its results: `vgexp.run("model.depth=5,10", "steps=100")`.

    Raises ConfigError for a bad override.
    """
    with composer() as compose:
        todo = plan(overrides, compose)
    todo.write("vgexp.run(" + ", ".join(map(repr, overrides)) + ")")
    for stack in todo.stacks:
        train_stack(stack.runs, Store(todo.folder))
    results = read(todo.folder)
    return results.select([identity(run) for run in todo.runs])


def first_run(overrides: Sequence[str]) -> Run:
    """The first run of a sweep, to know where its results are."""
    with composer() as compose:
        return sweep.typed(compose(sweep.expand(overrides).jobs[0]))


def typed_run(overrides: Sequence[str]) -> Run:
    """One run from overrides without choices, checked."""
    load_imports()
    sweep.check_keys(overrides, groups())
    with composer() as compose:
        runs = sweep.runs_of(overrides, compose, check_run)
    if len(runs) != 1:
        raise ConfigError("command line", sweep.has_choices(overrides), "one value a field, no choices")
    return runs[0][1]


def folder_of(run: Run) -> Path:
    """results/<name>/, and below it <scale>/ for the grids of an experiment."""
    return Path("results", run.name, run.scale or "")


def check_run(run: Run) -> None:
    """Raises ConfigError where a run cannot be trained as it is written."""
    choices = {
        "loss": LOSSES,
        "data.name": DATASETS,
        "model.family": MODELS,
        "model.activation": ACTIVATIONS,
        "init.name": INITIALIZERS,
        "init.scope": ("all", "hidden"),
        "optim.name": OPTIMIZERS,
        "probe.tier": TIERS,
        "probe.on": ("batch", "monitor"),
        "memory": ("store", "checkpoint", "invert"),
        "logger": tensorboard.LOGGERS,
        "device": ("auto", "cpu", "cuda"),
        "dtype": ("float32", "float64"),
    }
    check(run, {key: tuple(names) for key, names in choices.items()})
    if run.logger == "tensorboard" and not tensorboard.installed():
        raise ConfigError("logger", run.logger, "none; tensorboard needs `pip install vgexp[tensorboard]`")
    accepted = INITIALIZERS[run.init.name].distributions
    if run.init.distribution is not None and run.init.distribution not in accepted:
        raise ConfigError("init.distribution", run.init.distribution, f"{', '.join(accepted)} ({run.init.name})")
    if run.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device", run.device, "auto or cpu: there is no CUDA device here")
    dataset(run.data)


def limit(run: Run) -> int:
    """The largest stack of a structure: `max_members`, or what a quarter of the memory holds."""
    if run.max_members != "auto":
        return run.max_members
    data = dataset(run.data)
    each = bytes_per_member(run, data.inputs, data.classes, len(OPTIMIZERS[run.optim.name].slots))
    return max(1, int(MEMORY_SHARE * _memory(run)) // each)


def load_imports() -> None:
    """Imports what users add from outside: entry points of the group `vgexp`, and `vgexp --import`."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    for entry in entry_points(group="vgexp"):
        entry.load()
    for module in filter(None, os.environ.get(IMPORTS, "").split(",")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError("--import", module, f"a module that can be imported ({error})") from None


def conf_dir() -> Path:
    """`conf/` in the installed package, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def groups() -> list[str]:
    """The config groups that bundle fields: data, model, ..."""
    return sorted(folder.name for folder in conf_dir().iterdir() if folder.is_dir())


@contextmanager
def composer() -> Iterator[Compose]:
    """Composes configs outside a Hydra app; ConfigError in place of Hydra's errors."""

    def composed(overrides: Sequence[str]) -> DictConfig:
        with speaking(overrides):
            return compose("config", overrides=list(overrides))

    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield composed


@contextmanager
def speaking(overrides: Sequence[str]) -> Iterator[None]:
    """Turns Hydra's and OmegaConf's errors into a ConfigError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise sweep.config_error(error, overrides) from None


def fields_of(arguments: Sequence[str]) -> list[str]:
    """The overrides among the arguments of a Hydra app: neither flags nor what follows one, as in `--cfg job`."""
    return [
        text
        for before, text in zip(["", *arguments], arguments, strict=False)
        if not text.startswith("-") and ("=" in text or not before.startswith("-"))
    ]


def command_line() -> str:
    """What was typed, as it can be typed again."""
    return shlex.join(["vgexp", *TYPED[1:]])


def _grids(run: Run) -> dict[str, list[str]]:
    scales = run.scales
    if run.scale not in scales:
        raise ConfigError("scale", run.scale, ", ".join(scales) or "no scale: this is no experiment")
    grids = scales[run.scale]
    for name in run.only or ():
        if name not in grids:
            raise ConfigError("only", name, ", ".join(grids))
    return {name: list(_flat(overrides)) for name, overrides in grids.items() if name in (run.only or grids)}


def _flat(overrides: Any) -> Iterator[str]:
    """The strings of nested lists: in YAML, grids share parts by reference."""
    for item in [overrides] if isinstance(overrides, str) else overrides:
        if isinstance(item, str):
            yield item
        else:
            yield from _flat(item)


def _without(grid: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The grid's overrides, less those of fields that the command line sets."""
    said = {override.get_key_element() for override in sweep.parse(overrides)}
    return [text for text in grid if sweep.parse([text])[0].get_key_element() not in said]


def _memory(run: Run) -> int:
    if run.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.mem_get_info()[1]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
