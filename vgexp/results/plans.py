"""The plan of a results folder: every run that was asked for, by which command, and which grid it belongs to."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vgexp.config import RESULTS_VERSION
from vgexp.results.errors import StorageError
from vgexp.results.files import remove_abandoned, set_aside, write_atomically
from vgexp.results.locks import alone


def read_plan(folder: Path, damaged: dict[Path, str] | None = None) -> dict[str, Any]:
    """The plan of a folder; an empty one where there is none or, named in `damaged`, it cannot be read."""
    path = folder / "plan.json"
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        if damaged is not None:
            damaged[path] = str(error)
        return empty_plan()


@contextmanager
def changing(folder: Path) -> Iterator[dict[str, Any]]:
    """The plan of a folder, to be changed in the block and then written: by one process at a time.

    A plan that makes no sense is set aside. Raises StorageError for one that the system does not let us read or write.
    """
    with alone(folder):
        path = folder / "plan.json"
        try:
            plan = _read(path)
        except OSError as error:
            raise StorageError(error.errno, error.strerror, str(path)) from error
        except ValueError:
            set_aside(path)
            plan = empty_plan()
        remove_abandoned(folder)
        yield plan
        write_atomically(path, json.dumps({**plan, "version": RESULTS_VERSION}, indent=1).encode())


def empty_plan() -> dict[str, Any]:
    """A plan of nothing.

    `runs`: id -> what differs from the defaults. `grids`: name -> ids. `left_out`: name of a grid -> why it could not
    be planned. `commands`: what was typed -> ids. `again`: id -> when it was asked for again, in seconds since 1970:
    what was begun before is not done. `superseded`: id -> that of the run in its place, which says the same and is made
    of something that was edited since. Its rows are kept, and count again when the edit is taken back.
    """
    entries = ("runs", "grids", "left_out", "commands", "again", "superseded")
    return {"version": RESULTS_VERSION, **{entry: {} for entry in entries}}


def add_runs(plan: dict[str, Any], runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Adds runs, id -> changes, each in the place of the one that says the same."""
    now = {json.dumps(changes, sort_keys=True): run for run, changes in runs.items()}
    for run, changes in plan["runs"].items():
        other = now.get(json.dumps(changes, sort_keys=True), run)
        if other != run:
            plan["superseded"][run] = other
    plan["runs"] |= runs
    for run in runs:
        plan["superseded"].pop(run, None)
    for run in plan["superseded"]:
        plan["runs"].pop(run, None)
    for entry in ("grids", "commands"):
        for name, ids in plan[entry].items():
            plan[entry][name] = list(dict.fromkeys(plan["superseded"].get(run, run) for run in ids))


def set_grid(plan: dict[str, Any], name: str, runs: Collection[str]) -> None:
    """Makes runs of the plan the grid of a name. Their other seeds stay in it: a grid can be run a seed at a time."""

    def without_seed(run: str) -> str:
        return json.dumps({**plan["runs"].get(run, {"run": run}), "seed": None}, sort_keys=True)

    asked = {without_seed(run) for run in runs}
    others = [run for run in plan["grids"].get(name, []) if without_seed(run) in asked]
    plan["grids"][name] = list(dict.fromkeys([*others, *runs]))


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of two folders: of two grids or commands of one name, the runs of both; the newer changes of a run."""
    both: dict[str, Any] = {"version": new["version"]}
    for entry in ("runs", "left_out", "again", "superseded"):
        both[entry] = {**old[entry], **new[entry]}
    for entry in ("grids", "commands"):
        names = dict.fromkeys([*old[entry], *new[entry]])
        both[entry] = {
            name: list(dict.fromkeys([*old[entry].get(name, []), *new[entry].get(name, [])])) for name in names
        }
    both["left_out"] = {name: why for name, why in both["left_out"].items() if name not in both["grids"]}
    return both


def to_go_on(commands: Mapping[str, Collection[str]], lacking: Collection[str]) -> list[str]:
    """The newest commands that together ask for all of these runs, as far as any do.

    >>> to_go_on({"first": ["a", "b"], "second": ["c"], "third": ["d"]}, ["b", "d"])
    ['first', 'third']
    """
    left, found = set(lacking), []
    for command in reversed(list(commands)):
        if not left.isdisjoint(commands[command]):
            found.append(command)
            left -= set(commands[command])
    return found[::-1]


def _read(path: Path) -> dict[str, Any]:
    """Raises ValueError for what is no plan, OSError for what cannot be read."""
    if not path.exists():
        return _complete({})
    if not path.is_file():
        raise ValueError("not a file")
    try:
        return _complete(json.loads(path.read_text()))
    except RecursionError:
        raise ValueError("not a plan: too deep") from None


def _complete(found: Any) -> dict[str, Any]:
    """A plan of any age. Raises ValueError where it is none."""
    plan = empty_plan()
    if not isinstance(found, dict):
        raise ValueError("not a plan")
    plan |= found
    if isinstance(plan["commands"], list):  # an older plan does not say which runs: all of them
        plan["commands"] = {str(command): list(plan["runs"]) for command in plan["commands"]}
    kinds = {"runs": dict, "grids": list, "left_out": str, "commands": list, "again": (int, float), "superseded": str}
    for entry, kind in kinds.items():
        if not isinstance(plan[entry], dict) or not all(isinstance(value, kind) for value in plan[entry].values()):
            raise ValueError(f"not a plan: {entry}")
        if kind is list and not all(isinstance(run, str) for ids in plan[entry].values() for run in ids):
            raise ValueError(f"not a plan: {entry}")
    return plan
