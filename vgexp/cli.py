"""The command line: `vgexp COMMAND --help` explains each."""

import errno
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vgexp.config import ConfigError, first_line

if TYPE_CHECKING:
    from vgexp.results import Results

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="An instrument for the study of vanishing and exploding gradients.",
)
data = typer.Typer(help="Data sets that are not generated.", rich_markup_mode="markdown")
app.add_typer(data, name="data")
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Fields of the config, or groups of them.")
]
ConfigDir = Annotated[
    Path | None,
    typer.Option("--config-dir", "-cd", help="A folder with config files of yours."),
]
Folders = Annotated[list[Path], typer.Argument(help="Results folders.")]
Folder = Annotated[Path, typer.Argument(help="A results folder.")]
FOLDERS = {
    errno.EACCES: "may not be read or written by you",
    errno.EEXIST: "is a file where a folder is needed",
    errno.EISDIR: "is a folder where a file is needed",
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is a file where a folder is needed, or lies below one",
    errno.EROFS: "may not be written: it can only be read",
}
"""What is said of a file or folder that cannot be used."""


@app.callback()
def options(
    imports: Annotated[
        list[str] | None,
        typer.Option("--import", help="A module of yours that adds activations, data sets, ..."),
    ] = None,
) -> None:
    if imports:
        if "" in imports:
            raise ConfigError("--import", "", "a module that can be imported")
        from vgexp.experiments import IMPORTS, load_imports

        os.environ[IMPORTS] = ",".join(imports)
        load_imports()


@app.command()
def train(
    overrides: Overrides = None,
    multirun: Annotated[bool, typer.Option("--multirun", "-m", help="Sweeps over choices.")] = False,
    config_dir: ConfigDir = None,
    cfg: Annotated[
        str | None, typer.Option("--cfg", "-c", help="Shows the config and runs nothing: job, hydra or all of it.")
    ] = None,
) -> None:
    """Trains networks and records every layer.

    A sweep, with choices as `a,b` or `range(...)`, needs `-m`. Runs that differ only in `seed`, `init.*` and the
    numbers of `optim.*` train together in one stack; the other choices become jobs for any Hydra launcher. What is done
    already is not computed again: after an interruption type the same command. `vgexp train --cfg job` shows all fields
    and their defaults.

        vgexp train data=digits model.depth=20 model.width=64 model.activation=sigmoid steps=500

        vgexp train -m model.depth=5,10,20 init.name=standard,glorot 'seed=range(0,5)' name=depths

        vgexp train -m model.depth=5,10 hydra/launcher=joblib hydra.launcher.n_jobs=2 threads=1

        vgexp train --config-dir conf experiment=mine    (the file conf/experiment/mine.yaml)
    """
    from vgexp.experiments import start

    folder = start(overrides or (), sweep=multirun, config_dir=config_dir, look=cfg)
    if folder is not None:
        print(f"results in {folder}    next: vgexp report {shlex.quote(str(folder))}")


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(help="A paper by its citation key, or all.")],
    overrides: Overrides = None,
    scale: Annotated[str, typer.Option(help="One of the experiment's scales: smoke, small, paper.")] = "smoke",
    only: Annotated[list[str] | None, typer.Option(help="One grid of the experiment; may be repeated.")] = None,
    config_dir: ConfigDir = None,
) -> None:
    """Runs a paper's experiments, evaluates its claims, draws its figures and writes the report.

    vgexp reproduce glorot2010

    vgexp reproduce glorot2010 --scale small --only tanh --only tanh_n seed=0

    vgexp reproduce mine --import mypapers.mine --config-dir conf    (the file conf/experiment/mine.yaml)
    """
    from vgexp import papers
    from vgexp.experiments import start

    for name in papers.names() if paper == "all" else [paper]:
        papers.module(name)
        grids = [f"only=[{','.join(map(repr, only))}]"] if only else []
        asked = [f"experiment={name}", f"scale={scale}", *grids, *(overrides or ())]
        folder = start(asked, config_dir=config_dir)
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
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

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


@app.command()
def predict(
    overrides: Overrides = None,
    multirun: Annotated[bool, typer.Option("--multirun", "-m", help="Compares choices, a line each.")] = False,
    budget: Annotated[str | None, typer.Option(help="A size of memory, 8GB: how deep a network fits.")] = None,
) -> None:
    """Says what theory expects of a config, layer by layer, what would help, and what a step costs, without running it.

    vgexp predict model.activation=sigmoid model.depth=10

    vgexp predict model.family=reversible model.width=256 --budget 8GB

    vgexp predict -m model.family=plain,residual model.norm=none,batch,layer
    """
    from vgexp import experiments

    print((experiments.compare if multirun else experiments.predict)(*(overrides or ()), budget=budget))


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
        why = f"{type(error).__name__}: {first_line(error)}"
        raise ConfigError(target, why, "a model that runs forward and backward") from None
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


def ordered(arguments: Sequence[str]) -> list[str]:
    """The arguments with every `--import MODULE` first, where typer looks for the options of all commands.

    >>> ordered(["train", "seed=1", "--import", "mine"])
    ['--import=mine', 'train', 'seed=1']
    """
    first, rest, left = [], [], iter(arguments)
    for argument in left:
        if argument == "--import":
            first.append(f"--import={next(left, '')}")
        else:
            (first if argument.startswith("--import=") else rest).append(argument)
    return [*first, *rest]


def _usage_errors() -> tuple[type[Exception], ...]:
    """Typer's usage errors: it may bring a copy of click, so their class is found by its name."""
    return tuple(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Exit codes: 0 done, 1 failed, 2 bad input (one line says which), 130 interrupted."""
    from vgexp.results import ResultsError

    # Read when torch is loaded: threads that wait for each other in a loop take the cores from whatever else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        code = app(ordered(sys.argv[1:]), standalone_mode=False) or 0
    except typer.Abort:  # KeyboardInterrupt, in older versions of typer; newer ones return 130
        code = 130
    except Exception as error:
        if os.environ.get("VGEXP_TRACE"):
            raise
        if isinstance(error, ConfigError | ResultsError):
            code, line = 2, str(error)
        elif isinstance(error, _usage_errors()):
            code, line = 2, f"{str(error).rstrip('.')}; `vgexp --help` shows what there is"
        elif isinstance(error, OSError) and error.errno in FOLDERS and error.filename is not None:
            code, line = 2, f"{error.filename}: {FOLDERS[error.errno]}"
        else:
            code, line = 1, f"failed: {type(error).__name__}: {error} (VGEXP_TRACE=1 shows where)"
        print(f"vgexp: {' '.join(line.splitlines())}", file=sys.stderr)
    if code == 130:
        how = "without rerun " if any(text.lstrip("+").startswith("rerun=") for text in sys.argv) else ""
        line = f"vgexp: interrupted, saved at most a minute ago; to go on, type the same command {how}"
        print(line.rstrip(), file=sys.stderr)
    sys.exit(code)
