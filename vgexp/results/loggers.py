"""Loggers: where else the scalars of a training go, beside the tables, which stay the record."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vgexp.results import tensorboard, wandb

if TYPE_CHECKING:
    import pandas as pd


class Write(Protocol):
    """Adds what a stack measured: its rows of `runs`, and what is new in its other tables."""

    def __call__(self, rows: "pd.DataFrame", tables: "dict[str, pd.DataFrame]", /) -> None: ...


class Logger(NamedTuple):
    """One of them."""

    needs: Callable[[], str]
    """What has to be done before it can be used, or nothing."""
    open: Callable[[Path], AbstractContextManager[Write]]
    """For the results in a folder."""


LOGGERS = {
    "tensorboard": Logger(tensorboard.needs, tensorboard.logger),
    "wandb": Logger(wandb.needs, wandb.logger),
}
