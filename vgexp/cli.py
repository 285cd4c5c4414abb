"""The command line: `vgexp COMMAND --help` explains each."""

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vgexp.config import ConfigError

if TYPE_CHECKING:
    from vgexp.results import Results

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="An instrument for the study of vanishing and exploding gradients.",
)
data = typer.Typer(no_args_is_help=True, help="Data sets that are not generated.", rich_markup_mode="markdown")
app.add_typer(data, name="data")
OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
Folders = Annotated[list[Path], typer.Argument(help="Results folders.")]
Folder = Annotated[Path, typer.Argument(help="A results folder.")]


@app.callback()
def options(
    imports: Annotated[
        list[str] | None,
        typer.Option("--import", help="A module of yours that adds activations, data sets, ..."),
    ] = None,
) -> None:
    if imports:
        from vgexp.experiments import IMPORTS, load_imports

        os.environ[IMPORTS] = ",".join(imports)
        load_imports()


@app.command(context_settings=OVERRIDES)
def train(context: typer.Context) -> None:
    """Trains networks and records every layer.

    A sweep, with choices as `a,b` or `range(...)`, needs `-m`. Runs that differ only in `seed`, `init.*` and the
    numbers of `optim.*` train together in one stack; the other choices become jobs for any Hydra launcher. What is done
    already is not computed again: after an interruption type the same command. `vgexp train --cfg job` shows all fields
    and their defaults.

        vgexp train data=digits model.depth=20 model.width=64 model.activation=sigmoid steps=500

        vgexp train -m model.depth=5,10,20 init.name=standard,glorot 'seed=range(0,5)' name=depths

        vgexp train -m model.depth=5,10 hydra/launcher=joblib hydra.launcher.n_jobs=2 threads=1
    """
    from vgexp.experiments import check_single, fields_of, start

    arguments = [text for text in context.args if text not in ("-m", "--multirun")]
    if len(arguments) == len(context.args):
        check_single(fields_of(arguments))
    folder = start(arguments)
    if folder is not None:
        print(f"results in {folder}    next: vgexp report {shlex.quote(str(folder))}")


@app.command(context_settings=OVERRIDES)
def reproduce(
    context: typer.Context,
    paper: Annotated[str, typer.Argument(help="A paper by its citation key, or all.")],
    scale: Annotated[str, typer.Option(help="One of the experiment's scales: smoke, small, paper.")] = "smoke",
    only: Annotated[list[str] | None, typer.Option(help="One grid of the experiment; may be repeated.")] = None,
) -> None:
    """Runs a paper's experiments, evaluates its claims, draws its figures and writes the report.

    vgexp reproduce glorot2010

    vgexp reproduce glorot2010 --scale small --only tanh --only tanh_n seed=0
    """
    from vgexp import papers
    from vgexp.experiments import start

    for name in papers.names() if paper == "all" else [paper]:
        papers.module(name)
        grids = [f"only=[{','.join(only)}]"] if only else []
        folder = start([*context.args, f"experiment={name}", f"scale={scale}", *grids])
        if folder is not None:
            page = papers.report(name, folder)
            print(f"report: {page}    next: open it, or vgexp reproduce {name} --help")


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    mirror: Annotated[list[str] | None, typer.Option(help="A URL to try first; the files lie below it.")] = None,
) -> None:
    """Downloads the original files of a data set and checks their sums; from then on they are read offline.

    vgexp data fetch mnist

    VGEXP_DATA=/data vgexp data fetch cifar10 --mirror https://mirror.example.org/cifar/
    """
    from vgexp.data.downloads import fetch as fetched

    target = fetched(name, mirror or ())
    print(f"{name} in {target}    next: vgexp train data.name={name}")


@app.command()
def plot(folders: Folders, out: Annotated[Path | None, typer.Option(help="Where figures go.")] = None) -> None:
    """Draws the figures of one folder, or of several compared.

    vgexp plot results/depths
    """
    from vgexp.experiments import load_imports
    from vgexp.figures import draw_all, save

    load_imports()
    results = read(folders)
    target = out or folders[0] / "figures"
    drawn = draw_all(results)
    for name, picture in drawn.items():
        save(picture.figure, target, name)
    print(f"{len(drawn)} figures in {target}    next: vgexp report {shlex.quote(str(folders[0]))}")


@app.command()
def report(folder: Folder) -> None:
    """Writes report.html: one file with figures, tables and claims, which works offline.

    vgexp report results/depths
    """
    from vgexp import papers
    from vgexp.experiments import load_imports
    from vgexp.pages import write_report

    load_imports()
    read([folder])
    paper = papers.of_folder(folder)
    page = papers.report(paper, folder) if paper else write_report(folder)
    print(f"report: {page}")


@app.command()
def status(folder: Folder) -> None:
    """Says which runs of a sweep are done, running, failed or missing.

    vgexp status results/depths
    """
    from vgexp.results import STATUSES, folder_status

    found = folder_status(folder)
    say_damaged(f"{path}: {why}" for path, why in found.damaged.items())
    left = [run for run in found.runs if run.status != "done"]
    if left:
        table = Table("run", "status", "step", "what differs from the defaults, and the error")
        for run in left:
            notes = "\n".join(filter(None, [run.changes, run.message]))
            table.add_row(run.run, run.status, "" if run.step is None else str(run.step), escape(notes))
        Console().print(table)
    print(", ".join(f"{sum(run.status == name for run in found.runs)} {name}" for name in STATUSES))
    for command in found.commands:
        print(f"to go on: {command}")


@app.command()
def export(
    folder: Folder,
    csv: Annotated[bool, typer.Option("--csv", help="One CSV file a table.")] = True,
    out: Annotated[Path | None, typer.Option(help="Where the files go; default FOLDER/csv.")] = None,
) -> None:
    """Exports the tables.

    vgexp export results/depths --csv
    """
    tables, target = read([folder]).tables(), out or folder / "csv"
    target.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(target / f"{name}.csv", index=False)
    print(f"{len(tables)} tables in {target}")


@app.command(context_settings=OVERRIDES)
def predict(
    context: typer.Context,
    budget: Annotated[
        str | None, typer.Option(help="A size of memory, 8GB: also says how deep a network fits.")
    ] = None,
) -> None:
    """Says what theory expects of a config, layer by layer, and what a step costs, without running anything.

    vgexp predict model.activation=sigmoid model.depth=10

    vgexp predict model.family=reversible model.width=256 data.batch_size=256 --budget 8GB
    """
    from vgexp import experiments

    print(experiments.predict(*context.args, budget=budget))


@app.command()
def diagnose(
    target: Annotated[
        str,
        typer.Argument(metavar="MODULE:FACTORY", help="A function that returns (model, batch, loss_fn), or a model."),
    ],
    input_shape: Annotated[
        str | None, typer.Option(help="The shape of a batch, where the factory returns a model alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The diagnosis as JSON.")] = False,
) -> None:
    """A verdict on any model from one batch: does its gradient vanish, explode or die, and where?

    Exit code 0: healthy; 3: something was found; 2: it could not run.

    vgexp diagnose mypackage.training:example

    vgexp diagnose mypackage.models:make --input-shape 32,3,64,64 --json
    """
    from vgexp.watching import checkup

    model, batch, loss_fn = checkup.load(target, input_shape)
    try:
        diagnosis = checkup.diagnose(model, batch, loss_fn)
    except Exception as error:
        if os.environ.get("VGEXP_TRACE"):
            raise
        raise ConfigError(
            target, f"{type(error).__name__}: {error}", "a model that runs forward and backward"
        ) from None
    print(diagnosis.to_json() if as_json else diagnosis)
    if diagnosis.findings:
        raise typer.Exit(3)


def read(folders: list[Path]) -> "Results":
    from vgexp.results import read as read_results

    results = read_results(*folders)
    say_damaged(results.damaged)
    return results


def say_damaged(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"vgexp: skipped, damaged: {line}", file=sys.stderr)


def _usage_errors() -> tuple[type[Exception], ...]:
    """Typer's usage errors: it may bring a copy of click, so their class is found by its name."""
    return tuple(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Exit codes: 0 done, 1 failed, 2 bad input (one line says which), 130 interrupted."""
    from vgexp.results import ResultsError

    try:
        code = app(standalone_mode=False) or 0
    except (ConfigError, ResultsError) as error:
        print(f"vgexp: {error}", file=sys.stderr)
        sys.exit(2)
    except _usage_errors() as error:
        print(f"vgexp: {error}; `vgexp --help` shows what there is", file=sys.stderr)
        sys.exit(2)
    except typer.Abort:  # KeyboardInterrupt, in older versions of typer; newer ones return 130
        code = 130
    except Exception as error:
        if os.environ.get("VGEXP_TRACE"):
            raise
        print(f"vgexp: failed: {type(error).__name__}: {error} (VGEXP_TRACE=1 shows where)", file=sys.stderr)
        sys.exit(1)
    if code == 130:
        how = "without rerun " if any(text.lstrip("+").startswith("rerun=") for text in sys.argv) else ""
        print(
            f"vgexp: interrupted, saved at most a minute ago; to go on, type the same command {how}".rstrip(),
            file=sys.stderr,
        )
    sys.exit(code)
