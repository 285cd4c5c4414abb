"""The application: its commands, in the order that its help has them, and what its exit codes mean."""

import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

import vgexp
from vgexp.cli import data, judging, papers, reading, running, tidying
from vgexp.config import ConfigError, shortened

FOLDERS = {
    errno.EACCES: "may not be read or written by you",
    errno.EEXIST: "is a file where a folder is needed",
    errno.EISDIR: "is a folder where a file is needed",
    errno.ELOOP: "is a link that leads to itself",
    errno.ENAMETOOLONG: "has a longer name than a file can have",
    errno.ENOENT: "is not there",
    errno.ENOTDIR: "is a file where a folder is needed, or lies below one",
    errno.EROFS: "may not be written: it can only be read",
}
"""What is said of a file or folder that cannot be used."""
DISK = {
    errno.EDQUOT: "your quota of disk space is used up; make room",
    errno.EIO: "the disk could not be read or written",
    errno.ENOSPC: "no space is left on its disk; make room",
}
"""What is said of a machine that fails at work."""
LONGEST = 1000
"""Characters of a word that an error shows."""
COMMANDS = (
    running.train,
    running.reproduce,
    papers.papers,
    reading.plot,
    reading.report,
    reading.view,
    reading.status,
    reading.export,
    tidying.compact,
    tidying.rm,
    tidying.mv,
    judging.predict,
    judging.diagnose,
)

app = typer.Typer(
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="An instrument for the study of vanishing and exploding gradients.",
)
for command in COMMANDS:
    app.command(cls=papers.ListsPapers if command is running.reproduce else None)(command)
app.add_typer(data.app, name="data")


def _say_version(asked: bool) -> None:
    if asked:
        print(f"vgexp {vgexp.__version__}")
        raise typer.Exit


@app.callback()
def options(
    imports: Annotated[
        list[str] | None,
        typer.Option("--import", help="A module of yours that adds activations, data sets, ..."),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Shows the version of vgexp.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    if imports:
        if "" in imports:
            raise ConfigError("--import", "", "a module that can be imported")
        from vgexp.experiments import IMPORTS, load_imports

        os.environ[IMPORTS] = ",".join(imports)
        load_imports()


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


def usage(error: Any) -> str:
    """A usage error of typer's in a line: the option and what is wrong, and where help is."""
    where = getattr(getattr(error, "ctx", None), "command_path", None) or "vgexp"
    return f"{error.format_message().rstrip('.')}; `{where} --help` shows what there is"


def _open_streams() -> None:
    """Opens the streams that whoever started us has closed: else the next files would be taken for them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            os.set_inheritable(opened, True)  # for workers
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115


def main() -> NoReturn:
    """Exit codes: 0 done, 1 failed, 2 bad input (one line says which), 3 a diagnosis found something, 130 interrupted.

    A folder that cannot be used is bad input; a disk that is full or broken is a failure.
    """
    from vgexp.results import ResultsError

    # Read when torch is loaded: threads that wait for each other in a loop take the cores from whatever else runs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    _open_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may have what it cannot encode
    try:
        code = app(ordered(sys.argv[1:]), prog_name="vgexp", standalone_mode=False) or 0
    except typer.Abort:  # KeyboardInterrupt, in older versions of typer; newer ones return 130
        code = 130
    except Exception as error:
        if os.environ.get("VGEXP_TRACE"):
            raise
        if isinstance(error, ConfigError | ResultsError):
            code, line = 2, str(error)
        elif isinstance(error, _usage_errors()):
            code, line = 2, usage(error)
        elif isinstance(error, OSError) and error.errno in FOLDERS and error.filename is not None:
            code, line = 2, f"{error.filename}: {FOLDERS[error.errno]}"
        elif isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            what = DISK.get(error.errno, error.strerror)
            code, line = 1, f"{error.filename}: {what}; what was saved is whole, and the same command goes on from it"
        else:
            code, line = 1, f"failed: {type(error).__name__}: {error} (VGEXP_TRACE=1 shows where)"
        words = " ".join(line.splitlines()).split(" ")
        print("vgexp:", *(shortened(word, LONGEST) for word in words), file=sys.stderr)
    if code == 130:
        how = "without rerun " if any(text.lstrip("+").startswith("rerun=") for text in sys.argv) else ""
        saves = {"train", "reproduce"}.intersection(sys.argv[1:])
        more = f", saved at most a minute ago; to go on, type the same command {how}" if saves else ""
        print(f"vgexp: interrupted{more}".rstrip(), file=sys.stderr)
    sys.exit(code)
