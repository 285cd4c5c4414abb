"""The arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Fields of the config, or groups of them.")
]
ConfigDir = Annotated[
    Path | None,
    typer.Option("--config-dir", "-cd", help="A folder with config files of yours."),
]
Folders = Annotated[list[Path], typer.Argument(help="Results folders.")]
Folder = Annotated[Path, typer.Argument(help="A results folder.")]
