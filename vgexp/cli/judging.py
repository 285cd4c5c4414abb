"""The commands that judge a network without training it: a config by theory, a model of anyone's by one batch."""

import sys
from contextlib import redirect_stdout
from typing import Annotated

import typer

from vgexp.cli.arguments import Overrides
from vgexp.config import outside


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


def diagnose(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FACTORY",
            help="A function that returns (model, batch, loss_fn), (model, batch) where the model returns its loss, or "
            "a model.",
        ),
    ],
    input_shape: Annotated[
        str | None, typer.Option(help="The shape of a batch, where the factory returns a model alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The diagnosis as JSON.")] = False,
) -> None:
    """A verdict on any model from one batch: does its gradient vanish, explode or die, and where?

    Exit code 0: healthy, or undecided; 3: something was found; 2: it could not run.

    vgexp diagnose mypackage.training:example

    vgexp diagnose mypackage.models:make --input-shape 32,3,64,64 --json
    """
    from vgexp.watching import checkup

    with redirect_stdout(sys.stderr):  # what the model's code prints is no part of the diagnosis
        model, batch, loss_fn = checkup.load(target, input_shape)
        with outside(target, "a model that runs forward and backward"):
            diagnosis = checkup.diagnose(model, batch, loss_fn)
    if as_json:
        print(diagnosis.to_json())
    else:
        show(str(diagnosis), diagnosis.findings != [])
    if diagnosis.findings:
        raise typer.Exit(3)


def show(text: str, found: bool) -> None:
    """Prints a diagnosis: on a terminal its verdict and its labels in colour, elsewhere as it is."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    shown = Text(text)
    shown.highlight_regex(r"^\w+(?= \(step)", "bold red" if found else "bold green")
    shown.highlight_regex(r"(?m)^(also \w+|note)(?=:)", "bold")
    shown.highlight_regex(r"(?m)^  (where|try|or)(?= )", "dim")
    console.print(shown)
