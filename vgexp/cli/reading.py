"""The commands that read results folders."""

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from vgexp.cli.arguments import Folder, Folders
from vgexp.config import counted
from vgexp.results.durations import spoken
from vgexp.results.files import write_atomically

if TYPE_CHECKING:
    from vgexp.results import Results

TOGETHER = 500
"""Runs whose rows are in memory at once while a table is exported."""


def plot(
    folders: Folders,
    x: Annotated[str | None, typer.Option(help="With --y: the layer, the step, or a field of the config.")] = None,
    y: Annotated[str | None, typer.Option(help="One figure of this column in place of the others.")] = None,
    color: Annotated[str | None, typer.Option(help="The field that colors stand for.")] = None,
    facet: Annotated[str | None, typer.Option(help="The field with a row of panels for each value.")] = None,
    step: Annotated[int | None, typer.Option(help="The step to show: by default the first.")] = None,
    only: Annotated[str | None, typer.Option(help="Figures by name, with commas between.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where figures go.")] = None,
) -> None:
    """Draws the figures of one folder, or of several compared.

    Those of one folder go into it, those of several into `figures/A-vs-B` of the current folder.

        vgexp plot results/depths

        vgexp plot results/depths results/widths --out both

        vgexp plot results/depths --only profile,curves --color model.depth --facet init.name

        vgexp plot results/depths --y final_valid_error --x model.depth
    """
    from vgexp.experiments import command, load_imports
    from vgexp.figures import plot as drawn
    from vgexp.figures import save
    from vgexp.results import compare, short_names

    load_imports()
    results = compare(*folders)
    say_damaged(results.damaged)
    names = [name.strip() for name in only.split(",")] if only is not None else []
    pictures = drawn(results, x=x, y=y, color=color, facet=facet, step=step, only=names)
    several = [name.replace("/", "-") for name in short_names(results.folders)] if len(results.folders) > 1 else []
    target = out or (Path("figures", "-vs-".join(several)) if several else folders[0] / "figures")
    for name, picture in pictures.items():
        save(picture.figure, target, name)
    following = command("view" if several else "report", *map(str, results.folders))
    print(f"{counted(len(pictures), 'figure')} in {target}    next: {following}")


def report(folder: Folder) -> None:
    """Writes report.html: one file with figures, tables and claims, which works offline.

    vgexp report results/depths
    """
    from vgexp import papers
    from vgexp.experiments import load_imports

    load_imports()
    results = read([folder])
    say_claims_lack(folder)
    print(f"report: {papers.report(folder, results=results)}")


def view(
    folders: Folders,
    port: Annotated[int, typer.Option(help="Of this computer; 0 for any that is free.", show_default=True)] = 0,
) -> None:
    """Serves the page of one folder, or of several compared, to this computer alone, anew while their runs go on.

    Nothing is written in the folders.

    vgexp view results/depths

    vgexp view results/depths results/skips --port 8080
    """
    from vgexp.pages.server import LOOPBACK, server
    from vgexp.results import compare

    results = compare(*folders)
    say_damaged(results.damaged)
    if len(folders) == 1:
        say_claims_lack(results.folders[0])
    served = server(results.folders, lambda: page(folders), port)
    with served:
        print(f"http://{LOOPBACK}:{served.server_address[1]}/    Ctrl-C ends it", flush=True)
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)  # after the ^C of the terminal


def page(folders: list[Path]) -> str:
    """The page of some folders as text: of one folder of a paper's, with its claims."""
    from vgexp import papers
    from vgexp.experiments import load_imports
    from vgexp.pages import Content, render
    from vgexp.results import compare

    load_imports()
    results = compare(*folders)
    folder, *others = results.folders
    paper = None if others else papers.of_folder(folder)
    return render(results.folders, results, papers.content(paper, folder, results) if paper else Content())


def status(
    folder: Folder,
    everything: Annotated[bool, typer.Option("--all", help="A row for every run, not only for the failed.")] = False,
) -> None:
    """Says how far a sweep is, how long it will take, what failed, and the command that goes on with it.

    vgexp status results/depths

    vgexp status results/depths --all
    """
    from vgexp.results import STATUSES, folder_status

    found = folder_status(folder)
    say_damaged(f"{path}: {why}" for path, why in found.damaged.items())
    counts = {name: sum(run.status == name for run in found.runs) for name in STATUSES}
    share = f"{100 * counts['done'] // len(found.runs)} %: " if found.runs else ""
    begun = sum(run.status == "missing" and run.step is not None for run in found.runs)
    left = "" if found.seconds_left is None else f"; about {spoken(found.seconds_left)} left"
    line = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{share}{line}{f' ({begun} begun)' if begun else ''}{left}")
    rows = [run for run in found.runs if everything or run.status == "failed"]
    if rows:
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("run", "status", "step", "what differs from the defaults, and the error")
        for run in rows:
            notes = "\n".join(filter(None, [run.changes, run.message]))
            table.add_row(run.run, run.status, "" if run.step is None else str(run.step), escape(notes))
        Console().print(table)
    for command in found.commands:
        print(f"to go on: {command}")


def export(
    folder: Folder,
    csv: Annotated[bool, typer.Option("--csv", help="One CSV file a table.")] = True,
    out: Annotated[Path | None, typer.Option(help="Where the files go; default FOLDER/csv.")] = None,
) -> None:
    """Exports the tables.

    vgexp export results/depths --csv
    """
    from vgexp.results import TABLES

    results, target = read([folder]), out or folder / "csv"
    for name in TABLES:
        write_atomically(target / f"{name}.csv", partial(_write_csv, results, name))
    print(f"{len(TABLES)} tables in {target}")


def _write_csv(results: "Results", name: str, stream: IO[bytes]) -> None:
    """Writes a table, some runs after the others: it need not fit in memory."""
    if name == "runs":
        return results.runs.to_csv(stream, index=False)
    whole = results.table(name, steps=[-1])  # no rows, all columns
    whole.to_csv(stream, index=False)
    numbers = [column for column in whole if whole[column].dtype.kind == "f"]
    for first in range(0, len(results.runs), TOGETHER):
        rows = results.table(name, list(map(str, whole)), list(results.runs["run"][first : first + TOGETHER]))
        whole_in_some = {column: float for column in numbers if rows[column].dtype.kind == "i"}
        rows.astype(whole_in_some).to_csv(stream, index=False, header=False)


def read(folders: list[Path]) -> "Results":
    from vgexp.results import read as read_results

    results = read_results(*folders)
    say_damaged(results.damaged)
    return results


def say_claims_lack(folder: Path) -> None:
    """Says where the page of a folder will lack the claims that were evaluated for it: its paper is not here."""
    from vgexp import papers

    if (folder / "claims.csv").exists() and papers.of_folder(folder) is None:
        name = folder.resolve().parent.name
        why = f"no paper is called {name}: the page is without its claims; --import adds a module of yours"
        print(f"vgexp: {folder}: {why}", file=sys.stderr)


def say_damaged(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"vgexp: skipped, damaged: {line}", file=sys.stderr)
