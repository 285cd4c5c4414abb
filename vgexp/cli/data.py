"""The commands about data sets."""

from typing import Annotated

import typer

app = typer.Typer(help="Data sets that are not generated.", rich_markup_mode="markdown")


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


app.command()(fetch)
