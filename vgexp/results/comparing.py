"""Several folders side by side: a run that lies in more than one of them counts once in each."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from vgexp.results.columns import TABLES
from vgexp.results.parts import require_results
from vgexp.results.reading import read
from vgexp.results.tables import Results


def compare(*paths: str | Path) -> Results:
    """The results in one or more folders, with the column `folder` as short as tells them apart.

    Unlike `read`, which takes the newest row of a run, it keeps those of every folder: the ids of such runs end in
    `@folder`. Raises ResultsError for a folder without results.
    """
    given = [Path(path) for path in paths]
    for folder in given:
        require_results(folder)
    folders = [path for i, path in enumerate(given) if path.resolve() not in [one.resolve() for one in given[:i]]]
    if len(folders) == 1:
        return read(folders[0])
    names = short_names(folders)
    found = [read(folder) for folder in folders]
    several = Counter(run for results in found for run in {*results.runs["run"], *results.planned})
    new = [{run: f"{run}@{name}" if several[run] > 1 else run for run in several} for name in names]
    sides = list(zip(found, new, strict=True))
    runs = [
        one.runs.assign(run=one.runs["run"].map(ids), folder=name)
        for name, (one, ids) in zip(names, sides, strict=True)
    ]
    return Results(
        pd.concat(runs, ignore_index=True),
        *(None,) * 4,
        folders=folders,
        planned={ids[run]: changes for one, ids in sides for run, changes in one.planned.items()},
        commands={
            command: [ids.get(run, run) for run in asked]
            for one, ids in sides
            for command, asked in one.commands.items()
        },
        damaged=[line for one in found for line in one.damaged],
        source=_Sides(sides),
    )


class _Sides:
    """Results whose runs have other ids, side by side: a `Source`."""

    def __init__(self, sides: Sequence[tuple[Results, Mapping[str, str]]]) -> None:
        """Each with the new id of every run."""
        self._sides = sides

    def table(
        self, name: str, columns: Sequence[str] | None, runs: Sequence[str], steps: Collection[int] | None
    ) -> pd.DataFrame:
        wanted, frames = set(runs), []
        for results, ids in self._sides:
            asked = None if columns is None else list(dict.fromkeys([*TABLES[name].key, *columns]))
            frame = results.table(name, asked, [run for run in results.runs["run"] if ids[run] in wanted], steps)
            frames.append(frame.assign(run=frame["run"].map(ids)))
        there = [frame for frame in frames if not frame.empty] or frames[:1]
        together = pd.concat(there, ignore_index=True)
        return together if columns is None else together[[*columns]]


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
    columns = zip(*parts, strict=False)
    return next((i for i, column in enumerate(columns) if len(set(column)) > 1), min(map(len, parts)))
