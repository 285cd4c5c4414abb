"""Sweeps: from overrides with choices to typed runs, before anything is loaded that could train them.

Choices of structure (depth, activation, ...) make jobs, choices of members (seed, init.*, numbers of optim.*)
make the members of a job's stack.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vgexp.config import FIELDS, ConfigError, Run, validate
from vgexp.experiments.compose import Compose, bundled, speaking, typed
from vgexp.experiments.naming import automatic_name
from vgexp.experiments.overrides import choices, count, flattened, latest, parse, quoted, without

MOST_RUNS = 100_000
"""Runs of one product of choices: to compose so many takes minutes. Larger studies are several sweeps, each in a folder
of its own."""


@dataclass(frozen=True)
class Sweep:
    """The product of a list of overrides, jobs and members apart."""

    jobs: list[list[str]]
    """Structure overrides, one list a job."""
    members: list[list[str]]
    """Member overrides, one list a member; the same for every job."""


@dataclass(frozen=True)
class Grid:
    """A product of choices and its runs, typed."""

    overrides: list[str]
    runs: list[tuple[list[str], Run]]
    """Every run, with the structure overrides of its job."""


def grids(overrides: Sequence[str], compose: Compose, config_dir: Path | None = None) -> dict[str, Grid]:
    """What overrides ask for, by the name of the grid: "" for a sweep, else the grids of the experiment's scale.

    What is typed counts, whatever a grid says of the same fields. Where the name is null, they get one of their own.
    Raises ConfigError for the first type or value that is wrong
    whatever is registered.
    """
    first = first_run(overrides, compose)
    if first.scale is None and first.only is not None:
        raise ConfigError("only", first.only, "null where there is no scale")
    named = {"": []} if first.scale is None else _grids(first)
    said = {*(override.get_key_element() for override in parse(overrides)), *bundled(overrides, config_dir)}
    found = {name: composed([*without(latest(grid), said), *overrides], compose) for name, grid in named.items()}
    return found if first.name is not None else _named(found, overrides)


def first_run(overrides: Sequence[str], compose: Compose) -> Run:
    """The first run of a sweep, unchecked: it says which experiment and folder the sweep belongs to."""
    with speaking(overrides):
        return typed(compose(expand(overrides).jobs[0]))


def folder_of(run: Run) -> Path:
    """results/<name>/, and below it <scale>/ for the grids of an experiment; of a run that has a name by now."""
    assert run.name is not None
    return Path("results", run.name, run.scale or "")


def _named(found: dict[str, Grid], overrides: Sequence[str]) -> dict[str, Grid]:
    """The grids with an automatic name in every run, and among the overrides of its job."""
    name = automatic_name(overrides, [run for grid in found.values() for _, run in grid.runs])
    override = quoted(f"name={name}")
    return {
        title: Grid(grid.overrides, [([*job, override], replace(run, name=name)) for job, run in grid.runs])
        for title, grid in found.items()
    }


def composed(overrides: Sequence[str], compose: Compose) -> Grid:
    """Every run of a sweep. Raises ConfigError for a type or value that is wrong whatever is registered."""
    sweep = expand(overrides)
    runs = []
    for job in sweep.jobs:
        config = compose(job)
        for member in sweep.members:
            with speaking([*job, *member]):
                run = typed(config, member)
            validate(run, {})
            runs.append((job, run))
    return Grid(list(overrides), runs)


def expand(overrides: Sequence[str]) -> Sweep:
    """Splits choices into jobs and members. Raises ConfigError for choices that cannot be listed.

    >>> sweep = expand(["model.depth=5,10", "seed=range(0,2)", "init.name=he", "steps=0"])
    >>> sweep.jobs
    [['model.depth=5', 'steps=0'], ['model.depth=10', 'steps=0']]
    >>> sweep.members
    [['seed=0', 'init.name=he'], ['seed=1', 'init.name=he']]
    """
    jobs: list[list[str]] = []
    members: list[list[str]] = []
    parsed = parse(overrides)
    counts = [count(override) for override in parsed]
    if math.prod(counts) > MOST_RUNS:
        longest = parsed[counts.index(max(counts))]
        accepts = f"fewer choices: with the others they make {math.prod(counts)} runs, of which a sweep has {MOST_RUNS}"
        raise ConfigError(longest.get_key_element(), longest.get_value_string(), f"{accepts} at most")
    for override in parsed:
        key = override.get_key_element()
        (members if key in FIELDS and FIELDS[key].member else jobs).append(choices(override))
    return Sweep([list(job) for job in itertools.product(*jobs)], [list(m) for m in itertools.product(*members)])


def _grids(run: Run) -> dict[str, list[str]]:
    """The overrides of each grid of the run's scale, those of `only` where it names some."""
    scales = run.scales
    if run.scale not in scales:
        raise ConfigError("scale", run.scale, ", ".join(scales) or "no scale: this is no experiment")
    named = scales[run.scale]
    if not isinstance(named, dict) or not named or not all(isinstance(grid, list) for grid in named.values()):
        raise ConfigError(f"scales.{run.scale}", named, "grids by name, at least one, each a list of overrides")
    for name in run.only or ():
        if name not in named:
            raise ConfigError("only", name, ", ".join(named))
    return {name: list(flattened(overrides)) for name, overrides in named.items() if name in (run.only or named)}
