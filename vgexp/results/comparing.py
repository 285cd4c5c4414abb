"""Several folders side by side: a run that lies in more than one of them counts once in each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from vgexp.results.columns import TABLES
from vgexp.results.reading import read
from vgexp.results.tables import Results


def compare(*paths: str | Path) -> Results:
    """The results in one or more folders, with the column `folder` as short as tells them apart.

    Unlike `read`, which takes the newest row of a run, it keeps those of every folder: the ids of such runs end in
    `@folder`. Raises ResultsError for a folder without results.
    """
    given = [Path(path) for path in paths]
    folders = [path for i, path in enumerate(given) if path.resolve() not in [one.resolve() for one in given[:i]]]
    if len(folders) == 1:
        return read(folders[0])
    names = short_names(folders)
    found = [read(folder) for folder in folders]
    several = Counter(run for results in found for run in {*results.runs["run"], *results.planned})
    apart = [
        _renamed(one, name, [run for run in several if several[run] > 1])
        for one, name in zip(found, names, strict=True)
    ]
    tables = {name: pd.concat([getattr(one, name) for one in apart], ignore_index=True) for name in TABLES}
    return Results(
        **tables,
        folders=folders,
        planned={run: changes for one in apart for run, changes in one.planned.items()},
        commands={command: runs for one in apart for command, runs in one.commands.items()},
        damaged=[line for one in apart for line in one.damaged],
    )


def short_names(folders: Sequence[Path]) -> list[str]:
    """Folders by what tells their paths apart.

    >>> short_names([Path("results/a/small"), Path("results/b/small")]), short_names([Path("a"), Path("a/b")])
    (['a', 'b'], ['a', 'a/b'])
    """
    parts = [folder.resolve().parts for folder in folders]
    first = _alike(parts)
    last = _alike([part[:first:-1] for part in parts])
    names = ["/".join(part[first : len(part) - last]) for part in parts]
    return names if all(names) and len(set(names)) == len(names) else [str(folder) for folder in folders]


def _alike(parts: Sequence[Sequence[str]]) -> int:
    """How many parts all have in common at the beginning."""
    return next((i for i, column in enumerate(zip(*parts)) if len(set(column)) > 1), min(map(len, parts)))  # noqa: B905


def _renamed(results: Results, folder: str, several: Sequence[str]) -> Results:
    """Results whose runs of these ids have other ids, and whose folder has another name."""
    new = {run: f"{run}@{folder}" for run in several}
    tables = {name: table.assign(run=table["run"].replace(new)) for name, table in results.tables().items()}
    tables["runs"] = tables["runs"].assign(folder=folder)
    return replace(
        results,
        **tables,
        planned={new.get(run, run): changes for run, changes in results.planned.items()},
        commands={command: [new.get(run, run) for run in runs] for command, runs in results.commands.items()},
    )
