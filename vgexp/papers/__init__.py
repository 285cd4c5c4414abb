"""Papers as executable claims, found by discovery: every module here has CITATION, CLAIMS and
`figures(results)`.

One stem everywhere: conf/experiment/<paper>.yaml, vgexp/papers/<paper>.py, results/<paper>/.
"""

import pkgutil
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from vgexp import report as reports
from vgexp.claims import Claim, evaluate
from vgexp.config import ConfigError
from vgexp.store import Results, read, write_atomically
from vgexp.style import Picture


class Paper(Protocol):
    """What a paper's module provides."""

    CITATION: str
    INTRO: str
    CLAIMS: Sequence[Claim]

    def figures(self, results: Results) -> Mapping[str, Picture]: ...


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


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
    return reports.write(folder, results, paper.CITATION, paper.INTRO, paper.figures(results), claims)
