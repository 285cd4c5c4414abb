"""Downloads: the original files of MNIST and CIFAR-10, from a folder, a URL or their mirrors, checked by their sums.

Imported by name: reading data needs none of what this loads.
"""

import errno
import gzip
import hashlib
import secrets
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from vgexp.config import ConfigError
from vgexp.data.originals import expanded, folder, short


class FetchError(ConfigError):
    """A file that could not be had, or is not what was published."""


@dataclass(frozen=True)
class Original:
    """The published files of a data set, and where they are served."""

    files: tuple[Mapping[str, str], ...]
    """For each file, the names that it may have, that of the mirrors first, with the MD5 sum of its content: of an IDX
    file uncompressed, since it may have been compressed again; of an archive as it is."""
    mirrors: tuple[str, ...]


MNIST = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""The uncompressed files with their published MD5 sums."""
ORIGINALS = {
    "mnist": Original(
        files=tuple({f"{file}.gz": md5, file: md5} for file, md5 in MNIST.items()),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ),
    ),
    "cifar10": Original(
        files=(
            {
                "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
                "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
            },
        ),
        mirrors=("https://www.cs.toronto.edu/~kriz/", "http://www.cs.toronto.edu/~kriz/"),
    ),
}


DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""What is wrong with this computer's disk, and not with what a mirror serves."""


def fetch(name: str, source: str | None = None) -> Path:
    """Brings the files of a data set that are missing or damaged, checks all of them and returns their folder.

    `source`: a folder or a URL below which they lie; without it, the mirrors. Nothing is kept unless all are whole.
    Raises ConfigError for a name that is not an original, FetchError for a file that cannot be had.
    """
    if name not in ORIGINALS:
        raise ConfigError("NAME", name, ", ".join(ORIGINALS))
    original, target = ORIGINALS[name], folder(name)
    with TemporaryDirectory(prefix="vgexp-") as staging:
        found = []
        for names in original.files:
            if any(_sum(target / file) == md5 for file, md5 in names.items()):
                continue
            if source is None:
                path = _downloaded(names, [mirror + next(iter(names)) for mirror in original.mirrors], Path(staging))
            elif source.startswith(("http://", "https://")):
                path = _downloaded(names, [source.rstrip("/") + "/" + file for file in names], Path(staging))
            else:
                path = _looked_up(names, expanded(source))
            found.append((names, path))
        for names, path in found:
            _keep(path, target)
            for other in set(names) - {path.name}:
                (target / other).unlink(missing_ok=True)
    return target


def _looked_up(names: Mapping[str, str], source: Path) -> Path:
    """The file in a folder, under any of its names."""
    if not source.is_dir():
        raise FetchError("--from", str(source), "a folder, or a URL that begins with http:// or https://")
    found = {source / file: _sum(source / file) for file in names if (source / file).is_file()}
    for path, md5 in found.items():
        if md5 == names[path.name]:
            return path
    if not found:
        raise FetchError("--from", str(source), f"a folder with {' or '.join(names)}")
    path, md5 = next(iter(found.items()))
    raise FetchError(str(path), md5 or "a damaged file", f"content with the MD5 sum {names[path.name]}")


def _downloaded(names: Mapping[str, str], urls: Sequence[str], staging: Path) -> Path:
    """The file from the first of some URLs that serves it whole."""
    failures = []
    for url in urls:
        path = staging / url.rpartition("/")[2]
        path.unlink(missing_ok=True)
        try:
            _retrieve(url, path)
        except (requests.RequestException, ValueError, OSError) as error:
            if isinstance(error, OSError) and error.errno in DISK:
                raise OSError(error.errno, error.strerror, str(path)) from error
            failures.append(f"{url}: {short(error)}")
            continue
        md5 = _sum(path)
        if md5 == names[path.name]:
            return path
        failures.append(f"{url}: {f'its content has the MD5 sum {md5}' if md5 else 'it is damaged'}")
    file, md5 = next(iter(names.items()))
    raise FetchError(file, "; ".join(failures), f"content with the MD5 sum {md5} (--from FOLDER or --from URL)")


def _retrieve(url: str, path: Path) -> None:
    """What a URL serves, whatever it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    pooch.get_logger().setLevel("WARNING")
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar: Any = _Bar(progress, path.name)  # pooch takes any object of that shape; its annotation says bool
        downloader: Any = pooch.HTTPDownloader(progressbar=bar, timeout=30)
        pooch.retrieve(url, known_hash=None, fname=path.name, path=path.parent, downloader=downloader)


def _sum(path: Path) -> str | None:
    """The MD5 sum of a file's content; None where it is missing or cannot be uncompressed."""
    opened: Any = gzip.open if path.name.endswith("ubyte.gz") else open
    try:
        with opened(path, "rb") as content:
            return hashlib.file_digest(content, "md5").hexdigest()
    except (FileNotFoundError, gzip.BadGzipFile, EOFError, zlib.error):
        return None


def _keep(path: Path, target: Path) -> None:
    """Copies a file into a folder: all of it or nothing."""
    target.mkdir(parents=True, exist_ok=True)
    part = target / f".{path.name}.{secrets.token_hex(8)}.part"  # others may copy it too
    try:
        shutil.copyfile(path, part)
        part.replace(target / path.name)
    finally:
        part.unlink(missing_ok=True)


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
