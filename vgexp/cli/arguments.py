"""The arguments that several commands take."""

from pathlib import Path
from typing import Annotated

import typer


def completed_field(incomplete: str) -> list[str]:
    """The fields of the config and the groups of them that begin so, ready for a value: what a shell completes."""
    from vgexp.experiments.compose import groups
    from vgexp.experiments.overrides import typed_keys

    return [f"{name}=" for name in typed_keys(groups()) if name.startswith(incomplete)]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FIELD=VALUE]...",
        help="Fields of the config, or groups of them.",
        autocompletion=completed_field,
    ),
]
ConfigDir = Annotated[
    Path | None,
    typer.Option("--config-dir", "-cd", help="A folder with config files of yours."),
]
Folders = Annotated[list[Path], typer.Argument(help="Results folders.")]
Folder = Annotated[Path, typer.Argument(help="A results folder.")]
