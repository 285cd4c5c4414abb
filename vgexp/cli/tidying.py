"""The commands that put together, remove and rename results folders."""

from pathlib import Path
from typing import Annotated

import typer

from vgexp.cli.arguments import Folder, Folders
from vgexp.config import counted


def rm(
    folders: Folders,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Removes without asking.")] = False,
) -> None:
    """Removes results folders, after asking.

    vgexp rm results/depths

    vgexp rm results/depths results/skips --yes
    """
    from vgexp.results.folders import remove, require_removable

    for folder in folders:
        require_removable(folder)
    if not yes and not typer.confirm(f"Remove {', '.join(map(str, folders))}?", err=True):
        raise typer.Exit(1)
    for folder in folders:
        remove(folder)
        print(f"removed {folder}")


def compact(folders: Folders) -> None:
    """Puts the files of a sweep that is done together into one a table, which are read faster. Nothing else changes.

    vgexp compact results/depths
    """
    from vgexp.results.compaction import compact as put_together
    from vgexp.results.folders import require_idle

    for folder in folders:
        require_idle(folder)
    for folder in folders:
        before, after = put_together(folder)
        print(f"{folder}: {counted(before, 'part')}, now {after}")


def mv(folder: Folder, target: Annotated[Path, typer.Argument(help="The new folder, below results/.")]) -> None:
    """Gives a results folder another name; the commands of its plan go on with it there.

    vgexp mv results/depth-init-77b81b results/depths
    """
    from vgexp.experiments import command
    from vgexp.results.folders import move

    move(folder, target)
    print(f"results in {target}    next: {command('status', str(target))}")
