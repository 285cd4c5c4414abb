"""What can be reproduced: the papers, each with its scales. Nothing of a paper's own is loaded for it."""

import ast
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from typer.core import TyperCommand

from vgexp.cli.arguments import ConfigDir
from vgexp.config import ConfigError


def papers(config_dir: ConfigDir = None) -> None:
    """Lists the papers, their scales and what each is about.

    vgexp papers

    vgexp papers --import mypapers.mine --config-dir conf    (papers of yours too)
    """
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError("--config-dir", str(config_dir), "a folder")
    from vgexp.experiments.imports import load_imports
    from vgexp.experiments.scales import scales

    about, offered = subjects(), scales(config_dir)
    if load_imports():
        from vgexp import papers

        for name in papers.names():
            about.setdefault(name, papers.module(name).CITATION)
    rows = [(name, ", ".join(offered.get(name, [])) or "no experiment file", line) for name, line in about.items()]
    names, columns = (max(len(row[place]) for row in rows) for place in (0, 1))
    for name, column, line in rows:
        print(f"{name:{names}}  {column:{columns}}  {line}")
    if first := next((name for name in about if offered.get(name)), None):
        print(f"next: vgexp reproduce {first} --scale {offered[first][0]}")


def subjects() -> dict[str, str]:
    """The papers of vgexp itself: the first line of what each package says that it is."""
    spec = find_spec("vgexp.papers")
    found = {}
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("*/__init__.py")):
            line = ast.get_docstring(ast.parse(path.read_text())) or ""
            found[path.parent.name] = line.split("\n")[0]
    return found


def check_scale(
    papers: Sequence[str], scale: str, offered: Mapping[str, Mapping[str, Sequence[str]]], only: Sequence[str] = ()
) -> None:
    """Raises ConfigError for the first paper that has scales, but not this one, or not one of these grids in it.
    `offered`: the grids of each scale of each paper."""
    for paper in papers:
        if offered.get(paper) and scale not in offered[paper]:
            raise ConfigError("scale", scale, f"{', '.join(offered[paper])} with {paper}")
        for grid in only if offered.get(paper) else ():
            if grid not in offered[paper][scale]:
                raise ConfigError("only", grid, f"{', '.join(offered[paper][scale])} with {paper}")


class ListsPapers(TyperCommand):
    """A command whose help ends with the papers and their scales, which are looked up only when it is shown."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from vgexp.experiments.scales import scales

        offered = scales()
        lines = [f"- {name}: {', '.join(offered.get(name, []))}" for name in subjects()]
        self.epilog = "\n".join(["Papers and their scales:", "", *lines])
        super().format_help(ctx, formatter)


def completed_paper(incomplete: str) -> list[str]:
    """The papers that begin so: what a shell completes."""
    return [name for name in (*subjects(), "all") if name.startswith(incomplete)]


def completed_scale(incomplete: str) -> list[str]:
    """The scales of any paper that begin so."""
    from vgexp.experiments.scales import scales

    offered = scales()
    names = dict.fromkeys(scale for paper in subjects() for scale in offered.get(paper, []))
    return [name for name in names if name.startswith(incomplete)]
