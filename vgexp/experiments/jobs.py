"""Jobs: stacks as a launcher is given them, and the file in which the members of a stack travel.

A command line has no room for a thousand members, and a worker may start hours later on another computer.

results/<name>/state/jobs/<stack>.json    run id -> the values of its member fields; removed when the stack is done
"""

import json
import platform
from collections.abc import Collection
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vgexp.config import FIELDS, Run
from vgexp.networks.identity import identity
from vgexp.results.files import write_atomically
from vgexp.results.writing import stack_id


@dataclass
class Job:
    """What a launcher is given: runs that train together in one stack, and the overrides that all of them share."""

    overrides: list[str]
    runs: list[Run]

    def only(self, ids: Collection[str]) -> "Job":
        """The same with these runs only."""
        return Job(self.overrides, [run for run in self.runs if identity(run) in ids])

    def ids(self) -> list[str]:
        return [identity(run) for run in self.runs]

    def handed(self, folder: Path) -> list[str]:
        """Writes the members to a file of the results folder, and returns the overrides that lead a worker to it."""
        keys = [key for key, known in FIELDS.items() if known.member]
        members = {identity(run): {key: attrgetter(key)(run) for key in keys} for run in self.runs}
        path = folder.absolute() / "state/jobs" / f"{stack_id(self.runs)}.json"
        write_atomically(path, json.dumps(members).encode())
        escaped = str(path).replace("'", r"\'")
        return [*self.overrides, f"members='{escaped}'"]


def received(config: DictConfig) -> list[Run]:
    """The runs of a job, from its composed config, whose `members` is the file. None where the file is gone: then they
    are done.

    Raises RuntimeError where this computer has another folder there than the one that launched the job, or where its
    vgexp or its imports make other runs of the same config.
    """
    path = Path(config.members)
    folder = folder_of_job(path)
    if not (folder / "plan.json").exists():
        raise RuntimeError(f"{folder}: no plan.json on {platform.node()}: workers need to share the results folder")
    try:
        members = dict(json.loads(path.read_bytes()) or [])
    except FileNotFoundError:
        return []
    except (TypeError, ValueError):
        members = {}
    if not members:
        raise RuntimeError(f"{path}: no members of a stack; the command of the sweep writes them again")
    runs: list[Run] = []
    for planned, values in members.items():
        own = config.copy()
        own.members = None
        for key, value in values.items():
            OmegaConf.update(own, key, value)
        run: Any = OmegaConf.to_object(own)
        if identity(run) != planned:
            raise RuntimeError(f"run {planned} is {identity(run)} on {platform.node()}, which has another vgexp there")
        runs.append(run)
    return runs


def folder_of_job(path: Path) -> Path:
    """The results folder in which the file of a job lies."""
    return path.parents[2]
