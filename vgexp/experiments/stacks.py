"""Stacks: which runs of a plan train together."""

from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any

from vgexp.config import FIELDS, ConfigError, Run, leaves, structure
from vgexp.experiments.jobs import Job
from vgexp.experiments.overrides import choices, parse
from vgexp.experiments.sweep import Grid
from vgexp.networks.identity import identity, not_read, readers, unread


def stacked(
    runs: Sequence[tuple[list[str], Run]],
    limit: Callable[[Run], int],
    skip: Callable[[Run], bool],
    begun: Sequence[Sequence[str]] = (),
) -> list[Job]:
    """Groups runs of one structure, without repeats, into stacks of at most `limit`; drops the runs to skip.

    Stacks that were `begun`, given by the ids of their runs, go on as they are. The others are cut before runs are
    dropped: after an interruption the same command cuts them at the same places.
    """
    groups: dict[str, Job] = {}
    for overrides, run in {identity(run): (overrides, run) for overrides, run in runs}.values():
        groups.setdefault(str(structure(run)), Job(overrides, [])).runs.append(run)
    cut = []
    for group in groups.values():
        size = limit(group.runs[0])
        left = {identity(run): run for run in group.runs if not skip(run)}
        for ids in sorted(begun, key=len, reverse=True):  # of a stack that is halved, the whole has all of its state
            if len(ids) <= size and all(run in left for run in ids):
                cut.append(Job(group.overrides, [left.pop(run) for run in ids]))
        for start in range(0, len(group.runs), size):
            cut.append(Job(group.overrides, group.runs[start : start + size]).only(left))
    return [job for job in cut if job.runs]


def without_effect(grid: Grid) -> list[str]:
    """What is to be said of choices that some of a grid's runs do not read, which makes these fewer.

    Raises ConfigError for the first field with choices that no run reads, or that make no other runs.
    """
    said = []
    for override in parse(grid.overrides):
        key = override.get_key_element()
        if override.is_sweep_override() and key in FIELDS and key != "name" and not FIELDS[key].in_identity:
            raise ConfigError(key, override.get_value_string(), "one value: others make no other runs")
        read_by = FIELDS[key].read_by if override.is_sweep_override() and key in FIELDS else ()
        blind = [run for _, run in grid.runs if read_by and key in unread(run)]
        if not blind:
            continue
        where = " or ".join(
            dict.fromkeys(", ".join(f"{field}={attrgetter(field)(run)}" for field in read_by) for run in blind)
        )
        if len(blind) == len(grid.runs):
            raise ConfigError(key, override.get_value_string(), f"one value: it makes no difference with {where}")
        said.append(f"{len(choices(override))} choices of {key} make one run where {where}")
    return said


def require_read(overrides: Sequence[str], runs: Sequence[Run], read: Collection[str] = ()) -> None:
    """Raises ConfigError for the first value of one of the overrides that none of the runs reads.

    A default may be typed anyway, and choices are looked at by `without_effect`. `read` are fields that are read all
    the same.
    """
    defaults = leaves(Run())
    for override in parse(overrides):
        key = override.get_key_element()
        if key not in FIELDS or not FIELDS[key].read_by or key in read or override.is_sweep_override():
            continue
        got = attrgetter(key)(runs[0])
        blind = [not_read(run).get(key) for run in runs]
        if got == defaults[key] or None in blind:
            continue
        field = blind[0]
        assert field is not None
        who = ", ".join(readers(key, field))
        raise ConfigError(
            key, got, f"{_spell(defaults[key])} with {field}={attrgetter(field)(runs[0])}; read with {field}={who}"
        )


def _spell(value: Any) -> str:
    """A value as it is typed."""
    return "null" if value is None else repr(value) if isinstance(value, float) else str(value)
