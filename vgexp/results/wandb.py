"""Weights & Biases: scalars of a training, its config and its page as runs of wandb. Needs the extra `wandb`.

What is named in wandb's own environment variables (`WANDB_MODE`, `WANDB_PROJECT`, `WANDB_DIR`) holds. Without
them the project is `vgexp`, and wandb's files lie in the folder of the results.
"""

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgexp.config import FIELDS, outside
from vgexp.results.scalars import by_run

if TYPE_CHECKING:
    import pandas as pd

    from vgexp.results.loggers import Write

LONGEST = 128
"""Letters in the name of a group or of an artifact, at most."""


@cache
def needs() -> str:
    """What has to be done first, or nothing."""
    if not importlib.util.find_spec("wandb"):
        return "`pip install 'vgexp[wandb]'`"
    import wandb

    with outside("logger", "none, or wandb with an environment that it takes"):
        if wandb.setup().settings.mode in ("offline", "disabled") or wandb.login(prompt=False):
            return ""
    return "`wandb login`, or WANDB_MODE=offline"


@contextmanager
def logger(folder: Path) -> "Iterator[Write]":
    """A run of wandb for each run, all in the group of their folder; what is interrupted is taken up under its id."""
    opened: dict[str, Any] = {}

    def write_runs(rows: "pd.DataFrame", tables: "dict[str, pd.DataFrame]") -> None:
        scalars = dict(by_run(tables))
        for row in rows.to_dict("records"):
            run = str(row["run"])
            if run not in opened:
                config = {key: row[key] for key in FIELDS if key in row and row[key] == row[key]}
                # a run that is computed again is another one there: steps only rise in a run of wandb
                opened[run] = _start(folder, run, id=f"{run}-{int(row['started']):x}", resume="allow", config=config)
            for step, several in groupby(scalars.get(run, []), attrgetter("step")):
                opened[run].log({scalar.name: scalar.value for scalar in several}, step=step)
            if row["status"] == "done":
                opened.pop(run).finish()

    try:
        yield write_runs
    finally:
        for run in opened.values():
            run.finish(exit_code=1)


def publish(folder: Path, page: str) -> None:
    """The page of a folder as an artifact of the type `report`, of a run of its own in the folder's group."""
    import wandb

    with _start(folder, "report", job_type="report") as run:
        file = Path(run.dir, "report.html")  # what is offline is uploaded from there, some day
        file.write_text(page)
        artifact = wandb.Artifact(re.sub(r"[^\w.-]+", "-", _group(folder))[-LONGEST:], "report")
        artifact.add_file(str(file), policy="immutable")
        run.log_artifact(artifact)


def _group(folder: Path) -> str:
    """The name of the sweep, and of its scale where it has one."""
    return folder.as_posix().removeprefix("results/")[-LONGEST:]


def _start(folder: Path, name: str, **known: Any) -> Any:
    """A run of wandb that measures nothing of its own and says nothing."""
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    quiet = wandb.Settings(
        silent=True, console="off", disable_code=True, disable_git=True, x_disable_stats=True, x_disable_meta=True
    )
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", "vgexp"),
        dir=os.environ.get("WANDB_DIR", str(folder)),
        group=_group(folder),
        name=name,
        reinit="create_new",
        settings=quiet,
        **known,
    )
