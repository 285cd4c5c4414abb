"""TensorBoard: scalars of a training or of a watched model as event files. Needs the extra `tensorboard`."""

import importlib.util
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vgexp.results.scalars import Scalar, by_run

if TYPE_CHECKING:
    import pandas as pd

    from vgexp.results.loggers import Write


def needs() -> str:
    """What has to be done first, or nothing."""
    return "" if importlib.util.find_spec("tensorboard") else "`pip install 'vgexp[tensorboard]'`"


def write(folder: Path, scalars: Iterable[Scalar]) -> None:
    """Writes scalars into an event file in `folder`."""
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step, name, value in scalars:
            writer.add_scalar(name, value, step)


@contextmanager
def logger(folder: Path) -> "Iterator[Write]":
    """Event files below a folder of results, a folder of them for each run."""

    def write_runs(rows: "pd.DataFrame", tables: "dict[str, pd.DataFrame]") -> None:
        for run, scalars in by_run(tables):
            write(folder / "tensorboard" / run, scalars)

    yield write_runs
