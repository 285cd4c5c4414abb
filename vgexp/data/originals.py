"""The original files of MNIST and CIFAR-10, once they have been fetched (`vgexp.data.downloads`).

MNIST comes as IDX files, gzipped or not, CIFAR-10 as the archive of its binary batches or of its pickled ones. Of the
latter the instructions are read, and none is carried out: nothing is unpickled.

Legend: K images, I inputs.
"""

import gzip
import os
import pickletools
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np

from vgexp.config import ConfigError

FOLDER = "VGEXP_DATA"
"""The environment variable with the folder of the files; without it, they lie in the user's cache folder."""
MAGIC_IMAGES, MAGIC_LABELS = 0x803, 0x801
PIXELS = 28 * 28
"""Of an image of MNIST."""
RECORD = 1 + 3 * 32 * 32
"""Bytes of one CIFAR-10 record: its class, then the red, green and blue planes."""

Arrays = tuple[np.ndarray, np.ndarray]
"""Pixels (K, I) in uint8 and classes (K,)."""


class Unavailable(ConfigError):
    """A data set whose files are missing or damaged; `reason` says which, in one clause, and what brings them."""

    def __init__(self, name: str, reason: str) -> None:
        fetch = f"vgexp data fetch {name}"
        self.reason = f"{reason} ({fetch}, {fetch} --from FOLDER, or {fetch} --from URL)"
        super().__init__("data.name", name, f"a data set whose files are whole: {self.reason}")


def folder(name: str) -> Path:
    """Where the files of a data set lie."""
    import pooch  # only where such a data set is asked for

    return expanded(os.environ.get(FOLDER) or str(pooch.os_cache("vgexp"))) / name


def expanded(path: str) -> Path:
    """A path in which ~ stands for the user's home, as in a shell: of a user that is not known it stays."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def mnist() -> dict[str, Arrays]:
    """`train` and `test`: 60,000 and 10,000 images of 28 x 28 pixels. Raises Unavailable."""
    parts = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        pixels = _idx("mnist", f"{stem}-images-idx3-ubyte", MAGIC_IMAGES)
        classes = _idx("mnist", f"{stem}-labels-idx1-ubyte", MAGIC_LABELS).ravel()
        if len(pixels) != len(classes):
            raise Unavailable("mnist", f"{len(pixels)} images of the {part} set have {len(classes)} labels")
        if not len(pixels) or pixels.shape[1] != PIXELS:
            found = f"{len(pixels)} images of {pixels.shape[1]} pixels"
            raise Unavailable("mnist", f"the {part} set has {found}, not of {PIXELS}")
        if classes.max() > 9:
            raise Unavailable("mnist", f"the {part} set holds a class {classes.max()}, above 9")
        parts[part] = pixels, classes.astype(np.int64)
    return parts


def cifar10() -> dict[str, Arrays]:
    """`train` and `test`: 50,000 and 10,000 images of 32 x 32 x 3 pixels. Raises Unavailable."""
    path = _path("cifar10", "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
    file = path.name
    try:
        with tarfile.open(path) as archive:
            members = {Path(member.name).name: member for member in archive.getmembers()}
            ending, read = (".bin", _records) if "binary" in file else ("", _pickled)
            batches = {}
            for batch in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
                name = batch + ending
                stream = archive.extractfile(members[name]) if name in members else None
                if stream is None:
                    raise Unavailable("cifar10", f"{file} lacks {name}")
                batches[batch] = read(name, stream.read())
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise Unavailable("cifar10", f"{file} is damaged: {short(error)}") from None
    train = [batch for name, batch in batches.items() if name.startswith("data")]
    return {
        "train": (np.concatenate([x for x, _ in train]), np.concatenate([y for _, y in train])),
        "test": batches["test_batch"],
    }


def _idx(name: str, stem: str, magic: int) -> np.ndarray:
    """An IDX file of unsigned bytes, gzipped or not, as an array (K, everything else).

    Four bytes of magic (0, 0, 8 for unsigned bytes, the number of axes), four bytes an axis, big-endian, and the bytes.
    """
    path = _path(name, f"{stem}.gz", stem)
    file = path.name
    try:
        content = path.read_bytes() if file == stem else gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise Unavailable(name, f"{file} is damaged: {short(error)}") from None
    axes = magic & 0xFF
    header = 4 * (1 + axes)
    found = int.from_bytes(content[:4], "big")
    if found != magic:
        raise Unavailable(name, f"{file} starts with {found:#010x} where {magic:#010x} is due")
    if len(content) < header:
        raise Unavailable(name, f"{file} ends within its header")
    shape = struct.unpack(f">{axes}I", content[4:header])
    if len(content) - header != np.prod(shape, dtype=np.int64):
        raise Unavailable(name, f"{file} holds {len(content) - header} bytes where its header says {shape}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape[0], int(np.prod(shape[1:])))


def _records(name: str, content: bytes) -> Arrays:
    """One binary batch of CIFAR-10."""
    if not content or len(content) % RECORD:
        raise Unavailable("cifar10", f"{name} holds {len(content)} bytes, no multiple of {RECORD}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    return _classified(name, records[:, 1:], records[:, 0])


def _pickled(name: str, content: bytes) -> Arrays:
    """One pickled batch of CIFAR-10, as Python 2 wrote it.

    A pickle is a list of instructions. The pixels are the argument of one of them, the longest string, which says of
    itself just before whether it goes by columns; the classes are the small integers after the key `labels`.
    """
    pixels, columns, classes, key, before = "", False, [], "", None
    try:
        for instruction, argument, _ in pickletools.genops(content):
            if isinstance(argument, str):
                key = argument
                if len(argument) > len(pixels):
                    pixels, columns = argument, before == "NEWTRUE"
            elif key == "labels" and instruction.name == "BININT1":
                classes.append(argument)
            before = instruction.name
    except ValueError as error:
        raise Unavailable("cifar10", f"{name} is damaged: {short(error)}") from None
    if not classes or len(pixels) != (RECORD - 1) * len(classes):
        raise Unavailable("cifar10", f"{name} holds {len(pixels)} bytes of pixels with {len(classes)} classes")
    values = np.frombuffer(pixels.encode("latin-1"), np.uint8)  # pickletools reads the bytes of a string so
    shape = len(classes), RECORD - 1
    return _classified(name, values.reshape(shape, order="F" if columns else "C"), np.array(classes))


def _classified(name: str, pixels: np.ndarray, classes: np.ndarray) -> Arrays:
    """The images of a batch of CIFAR-10 with their classes, which must be ten."""
    if classes.max() > 9:
        raise Unavailable("cifar10", f"{name} holds a class {classes.max()}, above 9")
    return pixels, classes.astype(np.int64)


def _path(name: str, *files: str) -> Path:
    """The first of these files of a data set that is here."""
    for path in (folder(name) / file for file in files):
        if path.exists():
            return path
    there = folder(name).is_dir() and any(folder(name).iterdir())
    raise Unavailable(name, f"{files[0]} is missing" if there else f"{name} is not on this computer")


def short(error: BaseException) -> str:
    """The first line of an error, without what it was made of."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
