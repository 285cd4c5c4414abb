"""Scales: what the experiment files offer to sweep, read from the files alone, without composing a config."""

from pathlib import Path

from vgexp.experiments.compose import conf_dir
from vgexp.experiments.config_files import content


def scales(config_dir: Path | None = None) -> dict[str, list[str]]:
    """Every experiment and its scales: of the files experiment/*.yaml here and, where it is given, in `config_dir`.

    Raises ConfigError for a file that has no fields to be read.
    """
    return {name: list(found) for name, found in grids_by_scale(config_dir).items()}


def grids_by_scale(config_dir: Path | None = None) -> dict[str, dict[str, list[str]]]:
    """Every experiment, its scales and the names of their grids. Raises as `scales` does."""
    found = {}
    for folder in (conf_dir(), *([] if config_dir is None else [config_dir])):
        for path in sorted((folder / "experiment").glob("*.yaml")):
            named = content(path).get("scales")
            named = named if isinstance(named, dict) else {}
            found[path.stem] = {
                str(name): [str(grid) for grid in grids] if isinstance(grids, dict) else []
                for name, grids in named.items()
            }
    return found
