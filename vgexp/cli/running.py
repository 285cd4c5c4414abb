"""The commands that train: one config, a sweep, a paper."""

from pathlib import Path
from typing import Annotated

import typer

from vgexp.cli.arguments import ConfigDir, Overrides
from vgexp.cli.papers import check_scale, completed_paper, completed_scale

DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Lists the stacks that would be computed and what they take, and writes nothing."),
]


def train(
    overrides: Overrides = None,
    multirun: Annotated[bool, typer.Option("--multirun", "-m", help="Sweeps over choices.")] = False,
    config_dir: ConfigDir = None,
    cfg: Annotated[
        str | None, typer.Option("--cfg", "-c", help="Shows the config and runs nothing: job, hydra or all of it.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Trains networks and records every layer.

    A sweep, with choices as `a,b` or `range(...)`, needs `-m`. Runs that differ only in `seed`, `data.seed`, `init.*`
    and the numbers of `optim.*` train together in one stack; the other choices become jobs for any Hydra launcher. What
    is done already is not computed again: after an interruption type the same command. `vgexp train --cfg job` shows
    all fields and their defaults.

        vgexp train data=digits model.depth=20 model.width=64 model.activation=sigmoid steps=500

        vgexp train -m model.depth=5,10,20 init.name=standard,glorot 'seed=range(0,5)' name=depths

        vgexp train -m model.depth=5,10 hydra/launcher=joblib hydra.launcher.n_jobs=2 threads=1

        vgexp train --dry-run -m model.depth=5,10 'seed=range(0,5)'

        vgexp train --config-dir conf experiment=mine    (the file conf/experiment/mine.yaml)
    """
    from vgexp.experiments import command, start

    folder = start(overrides or (), sweep=multirun, config_dir=config_dir, look=cfg, dry=dry_run)
    if folder is not None:
        say_summary(folder)
        print(f"results in {folder}    next: {command('report', str(folder))}")


def reproduce(
    paper: Annotated[str, typer.Argument(help="A paper by its citation key, or all.", autocompletion=completed_paper)],
    overrides: Overrides = None,
    scale: Annotated[
        str, typer.Option(help="One of the paper's scales, listed below.", autocompletion=completed_scale)
    ] = "smoke",
    only: Annotated[list[str] | None, typer.Option(help="One grid of the experiment; may be repeated.")] = None,
    config_dir: ConfigDir = None,
    dry_run: DryRun = False,
) -> None:
    """Runs a paper's experiments, evaluates its claims, draws its figures and writes the report.

    vgexp reproduce glorot2010

    vgexp reproduce glorot2010 --scale small --only tanh --only tanh_n seed=0

    vgexp reproduce glorot2010 --scale long --only tanh --dry-run    (how long it takes, or what is left of it)

    vgexp reproduce mine --import mypapers.mine --config-dir conf    (the file conf/experiment/mine.yaml)
    """
    from vgexp import papers
    from vgexp.experiments import command, start
    from vgexp.experiments.scales import grids_by_scale

    names = papers.names() if paper == "all" else [paper]
    for name in names:
        papers.module(name)
    check_scale(names, scale, grids_by_scale(config_dir), only or ())
    for name in names:
        grids = [f"only=[{','.join(map(repr, only))}]"] if only else []
        asked = [f"experiment={name}", f"scale={scale}", *grids, *(overrides or ())]
        folder = start(asked, config_dir=config_dir, dry=dry_run)
        if folder is not None:
            say_summary(folder)
            page = papers.report(folder, name)
            print(f"report: {page}    next: {command('view', str(folder))}")


def say_summary(folder: Path) -> None:
    from vgexp.results.summary import summary

    print("\n".join(summary(folder)))
