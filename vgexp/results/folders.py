"""Results folders as a whole: removed, or given another name."""

import shlex
import shutil
from pathlib import Path

from vgexp.config import FIELDS, ConfigError
from vgexp.results.locks import alone, computing
from vgexp.results.parts import is_text, require_results
from vgexp.results.plans import changing, read_plan


def require_idle(folder: Path) -> None:
    """Raises ResultsError for a folder without results, ConfigError for one whose runs some process computes."""
    require_results(folder)
    if computing(folder):
        raise ConfigError("DIR", str(folder), "a folder whose runs nobody computes at the moment")


def require_removable(folder: Path) -> None:
    """Raises as `require_idle`, and ConfigError for a link, whose folder is not said by its name, and for a folder with
    other results below it, which somebody may compute."""
    require_idle(folder)
    if folder.is_symlink():
        raise ConfigError("DIR", str(folder), "a folder, and no link to one")
    for other in folder.rglob("plan.json"):
        if other.parent != folder:
            raise ConfigError("DIR", str(folder), f"a folder without other results below it: here is {other.parent}")


def remove(folder: Path) -> None:
    """Removes a results folder and all that lies in it. Raises as `require_removable`."""
    require_removable(folder)
    with alone(folder):
        require_idle(folder)
        shutil.rmtree(folder)


def move(folder: Path, target: Path) -> None:
    """Gives a results folder another name; the commands of its plan then go on with it there.

    Raises as `require_removable`, and ConfigError for a target that is there, or that no name leads to: below
    `results`.
    """
    require_removable(folder)
    if not is_text(target):
        raise ConfigError("TARGET", str(target), "a name in UTF-8")
    within = target.absolute().relative_to(Path("results").absolute()) if _below_results(target) else None
    if within is None or within == Path():
        raise ConfigError("TARGET", str(target), "a folder below results/, where the commands of its plan find it")
    if not FIELDS["name"].rule.holds(str(within)) or "${" in str(within) or "\\" in str(within):
        raise ConfigError(
            "TARGET", str(target), "below results/ a folder name that can be typed, without ${ and backslashes"
        )
    if target.exists():
        raise ConfigError("TARGET", str(target), "a folder that is not there yet")
    scaled = any(read_plan(folder)["grids"])
    if scaled and (target.name != folder.name or within.parent == Path()):
        accepts = f"results/NAME/{folder.name}: an experiment's folders are called after its scales"
        raise ConfigError("TARGET", str(target), accepts)
    name = str(within.parent if scaled else within)
    if target.absolute().is_relative_to(folder.absolute()):
        raise ConfigError("TARGET", str(target), f"a folder that is not below {folder} itself")
    with changing(folder) as plan:
        require_idle(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        before = plan["commands"]
        plan["commands"] = {renamed(command, name): ids for command, ids in before.items()}
    try:
        with alone(folder):
            require_idle(folder)
            folder.rename(target)
    except (ConfigError, OSError):
        with changing(folder) as plan:
            plan["commands"] = before
        raise


def renamed(command: str, name: str) -> str:
    """A command of a plan with another name.

    >>> renamed("vgexp train -m seed=0,1 name=old", "new")
    'vgexp train -m seed=0,1 name=new'
    >>> renamed("vgexp.run('seed=0,1')", "new")
    "vgexp.run('seed=0,1', 'name=new')"
    """
    plain = name.lower() != "null" and name.replace("/", "").replace("-", "").replace("_", "").isalnum()
    override = f"name={name}" if plain else "name='" + name.replace("'", r"\'") + "'"
    if command.startswith("vgexp.run("):
        return f"{command[:-1]}{', ' if command != 'vgexp.run()' else ''}{override!r})"
    try:
        words = [word for word in shlex.split(command) if not word.startswith("name=")]
    except ValueError:  # nobody typed it
        return command
    return shlex.join([*words, override])


def _below_results(target: Path) -> bool:
    return target.absolute().is_relative_to(Path("results").absolute()) and ".." not in target.parts
