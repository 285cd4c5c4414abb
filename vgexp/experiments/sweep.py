"""Sweeps: from overrides with choices to stacks of runs.

Choices of structure (depth, activation, ...) make jobs, choices of members (seed, init.*, numbers of optim.*)
make the members of a job's stack. The syntax is Hydra's own: `model.depth=5,10 seed=range(0,5)`.
"""

import difflib
import itertools
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, is_dataclass
from typing import Any, get_type_hints

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vgexp.config import MEMBER_FIELDS, ConfigError, Run, flat, identity, structure

Compose = Callable[[Sequence[str]], DictConfig]
"""Overrides without choices -> a composed config."""


@dataclass(frozen=True)
class Sweep:
    """The product of a list of overrides, jobs and members apart."""

    jobs: list[list[str]]
    """Structure overrides, one list a job."""
    members: list[list[str]]
    """Member overrides, one list a member; the same for every job."""


@dataclass
class Stack:
    """Runs that train together, and the overrides that make their job."""

    overrides: list[str]
    runs: list[Run]

    def job(self) -> list[str]:
        """Overrides for a launcher: the structure, and every member spelled out."""
        members = [[f"{key}={_spell(value)}" for key, value in _member_fields(run)] for run in self.runs]
        quoted = ",".join("[" + ",".join(f"'{item}'" for item in member) + "]" for member in members)
        return [*self.overrides, f"members=[{quoted}]"]


def quoted(override: str) -> str:
    """The value `revolve(s)` in quotes: Hydra takes it for one of its own functions.

    >>> quoted("checkpoint.every=2,revolve(3)")
    "checkpoint.every=2,'revolve(3)'"
    """
    return re.sub(r"(?<!')\brevolve\(\d+\)", r"'\g<0>'", override)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's parse. Raises ConfigError for what is not `key=value`."""
    try:
        return OverridesParser.create().parse_overrides([quoted(override) for override in overrides])
    except HydraException as error:
        raise ConfigError("command line", _culprit(overrides), f"key=value ({_one_line(error)})") from None


def expand(overrides: Sequence[str]) -> Sweep:
    """Splits choices into jobs and members.

    >>> sweep = expand(["model.depth=5,10", "seed=range(0,2)", "init.name=he", "steps=0"])
    >>> sweep.jobs
    [['model.depth=5', 'steps=0'], ['model.depth=10', 'steps=0']]
    >>> sweep.members
    [['seed=0', 'init.name=he'], ['seed=1', 'init.name=he']]
    """
    jobs: list[list[str]] = []
    members: list[list[str]] = []
    for override in parse(overrides):
        text = override.input_line or ""
        key = override.get_key_element()
        if override.is_sweep_override():
            if not override.is_discrete_sweep():
                raise ConfigError(key, text, "a list of choices or range(...)")
            choices = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices = [text]
        (members if key in MEMBER_FIELDS else jobs).append(choices)
    return Sweep([list(job) for job in itertools.product(*jobs)], [list(m) for m in itertools.product(*members)])


def has_choices(overrides: Sequence[str]) -> str | None:
    """The first override that is a sweep, if any."""
    return next((o.input_line for o in parse(overrides) if o.is_sweep_override()), None)


def runs_of(overrides: Sequence[str], compose: Compose, check: Callable[[Run], None]) -> list[tuple[list[str], Run]]:
    """Every run of a sweep with the structure overrides of its job, each one typed and checked."""
    sweep = expand(overrides)
    runs = []
    for job in sweep.jobs:
        config = compose(job)
        for member in sweep.members:
            run = typed(config, member)
            check(run)
            runs.append((job, run))
    return runs


def stacks(
    runs: Sequence[tuple[list[str], Run]], limit: Callable[[Run], int], skip: Callable[[Run], bool]
) -> list[Stack]:
    """Groups runs of one structure, without repeats, into stacks of at most `limit`; drops runs to skip.

    Cut first and skip then: the same command cuts the same way after an interruption.
    """
    groups: dict[str, Stack] = {}
    for overrides, run in {identity(run): (overrides, run) for overrides, run in runs}.values():
        key = str(structure(run))
        groups.setdefault(key, Stack(overrides, [])).runs.append(run)
    cut = []
    for group in groups.values():
        size = limit(group.runs[0])
        for start in range(0, len(group.runs), size):
            left = [run for run in group.runs[start : start + size] if not skip(run)]
            if left:
                cut.append(Stack(group.overrides, left))
    return cut


def typed(config: DictConfig, overrides: Sequence[str] = ()) -> Run:
    """A composed config with further overrides applied, as a Run. Raises ConfigError for a wrong key or
    type."""
    config = config.copy()
    for override in parse(overrides):
        key = override.get_key_element()
        try:
            OmegaConf.update(config, key, override.value())
        except OmegaConfBaseException as error:
            raise config_error(error, overrides) from None
    run: Any = OmegaConf.to_object(config)
    return run


def check_keys(overrides: Sequence[str], groups: Collection[str]) -> None:
    """Raises ConfigError for an override of a field that does not exist, with the nearest one that does."""
    known = [*flat(Run()), *groups]
    for override in parse(overrides):
        key = override.get_key_element().lstrip("+~")
        if key.startswith("hydra") or (key in known and not override.is_add()) or key in ("rerun", "only", "members"):
            continue
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else "vgexp train --help lists them"
        raise ConfigError(key, override.input_line, f"only fields of the config ({hint})")


def config_error(error: Exception, overrides: Sequence[str]) -> ConfigError:
    """What Hydra or OmegaConf say over several lines, in one: the field, what it got and what it accepts."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__
    if isinstance(cause, MissingConfigException):
        key, _, name = (cause.missing_cfg_file or "config").rpartition("/")
        return ConfigError(key, name, ", ".join(cause.options or ()))
    key = str(getattr(cause, "full_key", None) or "command line")
    got = next((text.split("=", 1)[1] for text in overrides if text.split("=")[0] == key), None)
    accepts = TYPES.get(_annotation(key), _one_line(cause))
    return ConfigError(key, got if got is not None else _one_line(cause), accepts)


TYPES = {
    "int": "an integer",
    "int | None": "an integer, or null",
    "float": "a number",
    "float | None": "a number, or null",
    "bool": "true or false",
    "str": "a name",
    "str | None": "a name, or null",
    "list[float]": "two numbers: [0,1] or [-1,1]",
}
"""What a field of each type accepts, in words."""


def _annotation(key: str) -> str:
    kind: Any = Run
    for part in key.split("["):
        for name in part.rstrip("]").split("."):
            hints = get_type_hints(kind) if is_dataclass(kind) else {}
            kind = hints.get(name, kind)
    return kind.__name__ if isinstance(kind, type) and kind in (int, float, bool, str) else str(kind)


def _member_fields(run: Run) -> list[tuple[str, Any]]:
    def value(key: str) -> Any:
        target: Any = run
        for part in key.split("."):
            target = getattr(target, part)
        return target

    return [(key, value(key)) for key in MEMBER_FIELDS]


def _spell(value: Any) -> str:
    return "null" if value is None else repr(value) if isinstance(value, float) else str(value)


def _one_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _culprit(overrides: Sequence[str]) -> str:
    for override in overrides:
        try:
            OverridesParser.create().parse_override(override)
        except HydraException:
            return override
    return " ".join(overrides)
