"""The command line: `vgexp COMMAND --help` explains each."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vgexp.config import ConfigError

if TYPE_CHECKING:
    from vgexp.store import Results

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="An instrument for the study of vanishing and exploding gradients.",
)
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
    from vgexp import experiment, sweep

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
) -> None:
    """Runs a paper's experiments, evaluates its claims, draws its figures and writes the report.

    vgexp reproduce glorot2010

    vgexp reproduce glorot2010 --scale smoke 'seed=range(0,10)'
    """
    from vgexp import papers

    for name in papers.names() if paper == "all" else [paper]:
        papers.module(name)
        launch([*context.args, f"experiment={name}", f"scale={scale}"])
        page = papers.report(name, Path("results", name, scale))
        say(f"report: {page}    next: open it, or vgexp reproduce {name} --help")


@app.command()
def plot(folders: Folders, out: Annotated[Path | None, typer.Option(help="Where figures go.")] = None) -> None:
    """Draws the figures of one folder, or of several compared.

    vgexp plot results/depths
    """
    from vgexp import figures, style

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
    from vgexp import report as reports

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
def predict(context: typer.Context) -> None:
    """Says what theory expects of a config, layer by layer, without training.

    vgexp predict model.activation=sigmoid model.depth=10

    vgexp predict model.activation=relu init.name=he model.depth=50
    """
    from vgexp import experiment

    prediction = experiment.predict(*context.args)
    table = Table("layer", "z_rms", "h_mean", "h_std", "dz_rms", "factor")
    for row in prediction.profile.to_dict("records"):
        table.add_row(str(row["layer"]), *(number(row[c]) for c in ("z_rms", "h_mean", "h_std", "dz_rms", "factor")))
    Console().print(table)
    print(prediction)


def launch(arguments: list[str]) -> None:
    """Runs the Hydra app over the planned stacks; its errors come out as they are."""
    import hydra

    from vgexp import experiment, sweep

    experiment.load_imports()
    sweep.check_keys(experiment.fields_of(arguments), experiment.groups())
    mode = [] if LOOKS & set(arguments) else ["--multirun"]  # a single run is a sweep of one
    typed, sys.argv = sys.argv, ["vgexp", *mode, *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with experiment.speaking(arguments):
            hydra.main(version_base="1.3", config_path=str(experiment.conf_dir()), config_name="config")(
                experiment.job
            )()
    finally:
        sys.argv = typed


def read(folders: list[Path]) -> "Results":
    from vgexp.store import read as read_results

    results = read_results(*folders)
    for line in results.damaged:
        print(f"vgexp: skipped, damaged: {line}", file=sys.stderr)
    return results


def number(value: float) -> str:
    return "" if value != value else f"{value:.4g}"


def say(line: str) -> None:
    """The last line: where the result is and what to type next."""
    print(line)


def _usage_errors() -> tuple[type[Exception], ...]:
    """Typer's usage errors, whichever click it brings along."""
    return tuple(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> NoReturn:
    """Exit codes: 0 done, 1 failed, 2 bad input (one line says which), 130 interrupted."""
    from vgexp.store import ResultsError

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
        print("vgexp: interrupted, everything saved; to go on, type the same command", file=sys.stderr)
    sys.exit(code)
