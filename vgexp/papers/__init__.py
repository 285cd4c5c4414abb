"""Papers as executable claims, found by discovery: every module here has CITATION, INTRO, CLAIMS, `figures(results)`
and, where there are any, `tables(results)`; the parts of a long paper lie beside it, in <paper>_claims.py and the like.

One stem everywhere: conf/experiment/<paper>.yaml, vgexp/papers/<paper>.py, results/<paper>/.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from vgexp import report as reports
from vgexp.claims import Claim, evaluate
from vgexp.config import ConfigError
from vgexp.store import Results, read, write_atomically
from vgexp.style import Picture, Table


class Paper(Protocol):
    """What a paper's module provides."""

    CITATION: str
    INTRO: str
    CLAIMS: Sequence[Claim]

    def figures(self, results: Results) -> Mapping[str, Picture | str]: ...


@runtime_checkable
class Tabled(Protocol):
    """What a paper with tables provides besides."""

    def tables(self, results: Results) -> Mapping[str, Table]: ...


def names() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if "_" not in m.name)


def module(name: str) -> Paper:
    """The module of a paper. Raises ConfigError for one that is not here."""
    if name not in names():
        raise ConfigError("PAPER", name, ", ".join([*names(), "all"]))
    return cast(Paper, import_module(f"{__name__}.{name}"))


def of_folder(folder: Path) -> str | None:
    """The paper that a results folder results/<paper>/<scale>/ belongs to."""
    name = folder.resolve().parent.name
    return name if name in names() and folder.resolve().name in ("smoke", "small", "paper") else None


def report(name: str, folder: Path) -> Path:
    """Evaluates the claims, draws the figures and writes claims.csv and report.html of a paper's results."""
    paper, results = module(name), read(folder)
    claims = evaluate(paper.CLAIMS, results, folder.resolve().name)
    write_atomically(folder / "claims.csv", claims.to_csv(index=False).encode())
    pictures = paper.figures(results)
    tables = paper.tables(results) if isinstance(paper, Tabled) else {}
    return reports.write(folder, results, paper.CITATION, paper.INTRO, pictures, claims, tables)
