"""The commands about data sets."""

from typing import Annotated

import typer

app = typer.Typer(help="Data sets that are not generated.", rich_markup_mode="markdown")


def fetch(
    name: Annotated[str, typer.Argument(help="mnist or cifar10.")],
    source: Annotated[
        str | None, typer.Option("--from", help="A folder, or a URL, with the files; without it, their mirrors.")
    ] = None,
) -> None:
    """Brings the original files of a data set and checks the sums of their content; from then on they are read offline.

    MNIST's may be gzipped or not; of CIFAR-10 it may be the binary archive or the python one.

    vgexp data fetch mnist

    vgexp data fetch mnist --from ~/downloads/mnist

    VGEXP_DATA=/data vgexp data fetch cifar10 --from https://mirror.example.org/cifar/
    """
    from vgexp.data.downloads import fetch as fetched

    target = fetched(name, source)
    print(f"{name} in {target}    next: vgexp train data.name={name}")


app.command()(fetch)
