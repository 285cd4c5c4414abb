"""Papers as executable claims, found by discovery: every package here has a CITATION, an INTRO, its CLAIMS, its FIGURES
and, where there are any, its TABLES.

One stem everywhere: conf/experiment/<paper>.yaml, vgexp/papers/<paper>/, results/<paper>/.
A module from outside (`vgexp --import mypapers.bengio1994`) that has these contents is a paper too, `bengio1994`.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import pandas as pd

from vgexp.claims import Claim, Missing, evaluate
from vgexp.config import ConfigError
from vgexp.experiments import command, load_imports
from vgexp.experiments.scales import grids_by_scale
from vgexp.figures import Picture, Table, draw_each
from vgexp.pages import Content, write_report
from vgexp.results import Results, read, write_atomically


class Paper(Protocol):
    """What a paper's package provides; TABLES too, where it has any."""

    CITATION: str
    INTRO: str
    CLAIMS: Sequence[Claim]
    FIGURES: Mapping[str, Callable[[Results], Picture]]


CONTENTS = tuple(Paper.__annotations__)
"""The names that make a module a paper."""


def names() -> list[str]:
    """The citation keys of all papers: of the packages here, and of the modules from outside that are papers."""
    return [*sorted(found.name for found in pkgutil.iter_modules(__path__) if found.ispkg), *sorted(_outside())]


def module(name: str) -> Paper:
    """The contents of a paper. Raises ConfigError for one that is not here."""
    if name not in names():
        raise ConfigError("PAPER", name, ", ".join([*names(), "all"]))
    return _outside().get(name) or cast(Paper, import_module(f"{__name__}.{name}"))


def _outside() -> dict[str, Paper]:
    """The imported modules from outside that have the contents of a paper."""
    found = {module.__name__.rpartition(".")[2]: module for module in load_imports()}
    return {name: cast(Paper, made) for name, made in found.items() if all(hasattr(made, part) for part in CONTENTS)}


def of_folder(folder: Path) -> str | None:
    """The paper that a results folder results/<paper>/<scale>/ belongs to."""
    name = folder.resolve().parent.name
    return name if name in names() else None


def figures(name: str, results: Results) -> dict[str, Picture | str]:
    """Every figure of a paper that the results can fill; in place of one that cannot be drawn, why."""
    return draw_each(module(name).FIGURES, results)


def tables(name: str, results: Results) -> dict[str, Table]:
    """The tables of a paper that the results can fill."""
    made = {}
    for title, function in getattr(module(name), "TABLES", {}).items():
        try:
            made[title] = function(results)
        except Missing:
            continue
    return made


def report(folder: str | Path, paper: str | None = None, results: Results | None = None) -> Path:
    """Writes the figures and report.html of a folder of results, of a paper's with its claims, and claims.csv.

    `paper`: which one, by default that which the folder is named after. `results`: of the folder, where they are read
    already. Returns the path of the page. Raises
    ResultsError for a folder without results.
    """
    folder = Path(folder)
    results, name = results or read(folder), paper or of_folder(folder)
    if name is None:
        return write_report(folder, results)
    shown = content(name, folder, results)
    assert shown.claims is not None
    write_atomically(folder / "claims.csv", shown.claims.to_csv(index=False).encode())
    return write_report(folder, results, shown)


def evaluated(name: str, folder: Path, results: Results) -> pd.DataFrame:
    """The claims of a paper as claims.csv has them; of those whose grids were not run, the command that runs them."""
    return evaluate(module(name).CLAIMS, results, folder.resolve().name, commands(name, folder))


def commands(name: str, folder: Path) -> Callable[[Sequence[str]], str]:
    """What says how to run some grids of a paper: at the scale of its folder, or else at the first that has all of
    them; empty where there are none."""
    scale, offered = folder.resolve().name, grids_by_scale().get(name, {})

    def runs(grids: Sequence[str]) -> str:
        having = [one for one, named in offered.items() if set(grids) <= set(named)]
        if not having or not grids:
            return ""
        at = scale if scale in having else having[0]
        return command("reproduce", name, "--scale", at, *(f"--only={grid}" for grid in grids))

    return runs


def content(name: str, folder: Path, results: Results) -> Content:
    """What the page of a paper's results shows: its claims evaluated, its figures and tables."""
    paper, runs = module(name), commands(name, folder)
    return Content(
        title=paper.CITATION,
        intro=paper.INTRO,
        pictures=figures(name, results),
        claims=evaluated(name, folder, results),
        tables=tables(name, results),
        grids={claim.name: claim.grids for claim in paper.CLAIMS},
        commands={claim.name: runs(claim.grids) for claim in paper.CLAIMS},
    )
