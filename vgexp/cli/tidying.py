"""The commands that put together, remove and rename results folders."""

from pathlib import Path
from typing import Annotated

import typer

from vgexp.cli.arguments import Folder, Folders
from vgexp.config import ConfigError, counted


def rm(
    folders: Folders,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Removes without asking.")] = False,
) -> None:
    """Removes results folders, after asking.

    vgexp rm results/depths

    vgexp rm results/depths results/skips --yes
    """
    from vgexp.results.folders import remove, require_removable

    once = list({folder.resolve(): folder for folder in reversed(folders)}.values())[::-1]
    for folder in once:
        require_removable(folder)
    if not yes and not _confirmed(f"Remove {', '.join(map(str, once))}?"):
        raise typer.Exit(1)
    for folder in once:
        remove(folder)
        print(f"removed {folder}")


def _confirmed(question: str) -> bool:
    """The answer of whoever typed the command. Raises ConfigError where nobody is there to answer."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort as end:
        if isinstance(end.__context__, EOFError):
            raise ConfigError("stdin", "no answer", "y or n; --yes asks nothing") from None
        raise


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
