"""The command line: `vgexp COMMAND --help` explains each."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vgexp.config.fields import ConfigError

if TYPE_CHECKING:
    from vgexp.results.store import Results

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
LOOKS = {"--cfg", "-c", "--info", "-i"}
"""Hydra's flags that show the config and run nothing."""
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
        os.environ["VGEXP_IMPORT"] = ",".join(imports)


@app.command(context_settings=OVERRIDES)
def train(context: typer.Context) -> None:
    """Trains networks and records every layer.

    Choices with commas or `range(...)` need `-m`. Those of members (`seed`, `init.*`, the numbers of `optim.*`) train
    together in one stack, the others become jobs for any Hydra launcher. What is done already is not computed again;
    after an interruption type the same command. `vgexp train --cfg job` shows all fields and their defaults.

        vgexp train data=digits model.depth=20 model.width=64 model.activation=sigmoid steps=500

        vgexp train -m model.depth=5,10,20 init.name=standard,glorot 'seed=range(0,5)' name=depths

        vgexp train -m model.depth=5,10 hydra/launcher=joblib hydra.launcher.n_jobs=2 threads=1
    """
    from vgexp.experiments import plan as experiment
    from vgexp.experiments import sweep

    many = [flag for flag in ("-m", "--multirun") if flag in context.args]
    overrides = [text for text in context.args if text not in ("-m", "--multirun")]
    fields = experiment.fields_of(overrides)
    choice = sweep.has_choices(fields)
    if choice is not None and not many:
        field, _, choices = choice.partition("=")
        raise ConfigError(field, choices, "one value; for a sweep type `vgexp train -m ...`")
    launch(overrides)
    if not LOOKS & set(overrides):
        folder = experiment.folder_of(experiment.first_run(fields))
        say(f"results in {folder}    next: vgexp report {folder}")


@app.command(context_settings=OVERRIDES)
def reproduce(
    context: typer.Context,
    paper: Annotated[str, typer.Argument(help="A paper by its citation key, or all.")],
    scale: Annotated[str, typer.Option(help="smoke, small or paper, where the experiment has it.")] = "smoke",
    only: Annotated[list[str] | None, typer.Option(help="A grid of the experiment; again for more.")] = None,
) -> None:
    """Runs a paper's experiments, evaluates its claims, draws its figures and writes the report.

    vgexp reproduce glorot2010

    vgexp reproduce glorot2010 --scale small --only tanh --only tanh_n seed=0
    """
    from vgexp import papers

    for name in papers.names() if paper == "all" else [paper]:
        papers.module(name)
        grids = [f"only=[{','.join(only)}]"] if only else []
        launch([*context.args, f"experiment={name}", f"scale={scale}", *grids])
        page = papers.report(name, Path("results", name, scale))
        say(f"report: {page}    next: open it, or vgexp reproduce {name} --help")


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    mirror: Annotated[list[str] | None, typer.Option(help="Where else to look first: the files lie below it.")] = None,
) -> None:
    """Downloads a data set's original files and checks their sums; they are read offline ever after.

    vgexp data fetch mnist

    VGEXP_DATA=/data vgexp data fetch cifar10 --mirror https://mirror.example.org/cifar/
    """
    from vgexp.data import originals

    target = originals.fetch(name, mirror or ())
    say(f"{name} in {target}    next: vgexp train data.name={name}")


@app.command()
def plot(folders: Folders, out: Annotated[Path | None, typer.Option(help="Where figures go.")] = None) -> None:
    """Draws the figures of one folder, or of several compared.

    vgexp plot results/depths
    """
    from vgexp.figures import style
    from vgexp.figures import sweeps as figures

    results = read(folders)
    target = out or folders[0] / "figures"
    drawn = figures.draw_all(results)
    for name, picture in drawn.items():
        style.save(picture.figure, target, name)
    say(f"{len(drawn)} figures in {target}    next: vgexp report {folders[0]}")


@app.command()
def report(folder: Folder) -> None:
    """Writes report.html: one file with figures, tables and claims, which works offline.

    vgexp report results/depths
    """
    from vgexp import papers
    from vgexp.pages import report as reports

    read([folder])
    paper = papers.of_folder(folder)
    page = papers.report(paper, folder) if paper else reports.write(folder)
    say(f"report: {page}")


@app.command()
def status(folder: Folder) -> None:
    """Says which runs of a sweep are done, running, failed or missing.

    vgexp status results/depths
    """
    results = read([folder])
    state = {run: "missing" for run in results.planned}
    state |= dict(zip(results.runs["run"], results.runs["status"], strict=True))
    counts = {name: list(state.values()).count(name) for name in ("done", "running", "failed", "missing")}
    table = Table("run", "status", "step", "what differs from the defaults")
    rows = {row["run"]: row for row in results.runs.to_dict("records")}
    for run, name in state.items():
        if name != "done":
            row = rows.get(run, {})
            what = row.get("message") or " ".join(f"{k}={v}" for k, v in results.planned.get(run, {}).items())
            table.add_row(run, name, str(row.get("step", "")), escape(what))
    if table.row_count:
        Console().print(table)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    if counts["done"] < len(state) and results.commands:
        say(f"to go on: {results.commands[-1]}")


@app.command()
def export(
    folder: Folder,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV files, one a table.")] = True,
    out: Annotated[Path | None, typer.Option(help="Where they go; default FOLDER/csv.")] = None,
) -> None:
    """Exports the tables.

    vgexp export results/depths --csv
    """
    results, target = read([folder]), out or folder / "csv"
    target.mkdir(parents=True, exist_ok=True)
    for name, table in results.tables().items():
        table.to_csv(target / f"{name}.csv", index=False)
    say(f"5 tables in {target}")


@app.command(context_settings=OVERRIDES)
def predict(
    context: typer.Context,
    budget: Annotated[str | None, typer.Option(help="Memory, as 8GB: how deep a network fits?")] = None,
) -> None:
    """Says what theory expects of a config, layer by layer, and what a step costs, without running anything.

    vgexp predict model.activation=sigmoid model.depth=10

    vgexp predict model.family=reversible model.width=256 data.batch_size=256 --budget 8GB
    """
    from vgexp.experiments.prediction import predict as prediction_of

    prediction = prediction_of(*context.args, budget=budget)
    console = Console()
    if not prediction.profile.empty:
        columns = ("z_rms", "h_mean", "h_std", "dz_rms", "factor")
        table = Table("layer", *columns)
        for row in prediction.profile.to_dict("records"):
            table.add_row(str(row["layer"]), *(number(row[column]) for column in columns))
        console.print(table)
    print(prediction)
    units = {"forward_flops": "FLOP", "backward_flops": "FLOP", "live_bytes": "B", "weight_bytes": "B"}
    costs = Table(*(str(column).replace("_", " ") for column in prediction.costs))
    for row in prediction.costs.to_dict("records"):
        costs.add_row(*(si(value, units[str(key)]) if key in units else str(value) for key, value in row.items()))
    console.print(costs)


@app.command()
def diagnose(
    target: Annotated[
        str, typer.Argument(metavar="MODULE:FACTORY", help="Returns (model, batch, loss_fn), or a model.")
    ],
    input_shape: Annotated[str | None, typer.Option(help="Of a batch, for a factory that returns a model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The diagnosis as JSON.")] = False,
) -> None:
    """A verdict on any model from one batch: does its gradient vanish, explode, die, and where.

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


def launch(arguments: list[str]) -> None:
    """Runs the Hydra app over the planned stacks; its errors come out as they are."""
    import hydra

    from vgexp.experiments import plan as experiment
    from vgexp.experiments import sweep

    experiment.load_imports()
    arguments = [sweep.quoted(argument) for argument in arguments]
    sweep.check_keys(experiment.fields_of(arguments), experiment.groups())
    mode = [] if LOOKS & set(arguments) else ["--multirun"]  # a single run is a sweep of one
    typed, sys.argv = sys.argv, ["vgexp", *mode, *arguments]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # else a launcher's workers would outlive it
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with experiment.speaking(arguments):
            hydra.main(version_base="1.3", config_path=str(experiment.conf_dir()), config_name="config")(
                experiment.job
            )()
    finally:
        sys.argv = typed
        signal.signal(signal.SIGTERM, before)


def read(folders: list[Path]) -> "Results":
    from vgexp.results.store import read as read_results

    results = read_results(*folders)
    for line in results.damaged:
        print(f"vgexp: skipped, damaged: {line}", file=sys.stderr)
    return results


def number(value: float) -> str:
    return "" if value != value else f"{value:.4g}"


def si(value: float, unit: str) -> str:
    """A quantity with a decimal prefix: 1.8 GFLOP."""
    for prefix in ("", "k", "M", "G"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.3g} T{unit}"


def say(line: str) -> None:
    """The last line: where the result is and what to type next."""
    print(line)


def _usage_errors() -> tuple[type[Exception], ...]:
    """Typer's usage errors, whichever click it brings along."""
    return tuple(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Exit codes: 0 done, 1 failed, 2 bad input (one line says which), 130 interrupted."""
    from vgexp.results.store import ResultsError

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
        print("vgexp: interrupted, saved at most a minute ago; to go on, type the same command", file=sys.stderr)
    sys.exit(code)
