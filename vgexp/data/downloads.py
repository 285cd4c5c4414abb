"""Downloads: the original files of MNIST and CIFAR-10 from their mirrors, checked by their sums.

Imported by name: reading data needs none of what this loads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from vgexp.config import ConfigError
from vgexp.data.originals import folder, short


class FetchError(ConfigError):
    """A file that no mirror could give."""


@dataclass(frozen=True)
class Original:
    """The published files of a data set: names with their MD5 sums, and where they are served."""

    files: dict[str, str]
    mirrors: tuple[str, ...]


ORIGINALS = {
    "mnist": Original(
        files={
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    "cifar10": Original(
        files={"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        mirrors=("https://www.cs.toronto.edu/~kriz/", "http://www.cs.toronto.edu/~kriz/"),
    ),
}


def fetch(name: str, mirrors: Sequence[str] = ()) -> Path:
    """Downloads the missing files of a data set, from `mirrors` first, checks all of them and returns their folder.

    Raises ConfigError for a name that is not an original, FetchError when every mirror fails.
    """
    if name not in ORIGINALS:
        raise ConfigError("NAME", name, ", ".join(ORIGINALS))
    original, target = ORIGINALS[name], folder(name)
    pooch.get_logger().setLevel("WARNING")
    for file, md5 in original.files.items():
        failures = []
        for mirror in (*mirrors, *original.mirrors):
            url = mirror.rstrip("/") + "/" + file
            try:
                _retrieve(url, md5, target / file)
                break
            except (requests.RequestException, ValueError, OSError) as error:
                failures.append(f"{mirror}: {short(error)}")
        else:
            raise FetchError(file, "; ".join(failures), f"a file with the MD5 sum {md5} from a mirror (--mirror URL)")
    return target


def _retrieve(url: str, md5: str, path: Path) -> None:
    """One file from one mirror, kept only when its sum is right."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar: Any = _Bar(progress, path.name)  # pooch takes any object of that shape; its annotation says bool
        downloader: Any = pooch.HTTPDownloader(progressbar=bar, timeout=30)
        pooch.retrieve(url, known_hash=f"md5:{md5}", fname=path.name, path=path.parent, downloader=downloader)


class _Bar:
    """What pooch expects of a progress bar, on rich's."""

    def __init__(self, progress: Progress, title: str) -> None:
        self._progress, self._task = progress, progress.add_task(title, total=None)
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, count: int) -> None:
        self._total = count
        self._progress.update(self._task, total=count)

    def update(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self._total)

    def close(self) -> None:
        self._progress.refresh()
