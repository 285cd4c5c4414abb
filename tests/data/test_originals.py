import errno
import functools
import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import threading
import warnings
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from vgexp.config.errors import ConfigError
from vgexp.config.fields import DataConfig
from vgexp.data import datasets, downloads, originals
from vgexp.data.downloads import FetchError, Original, fetch
from vgexp.data.originals import Unavailable
from vgexp.data.streams import Stream


def idx(array):
    """Bytes of an IDX file of unsigned bytes, gzipped."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def archive(batches, folder="cifar-10-batches-bin"):
    """Bytes of CIFAR-10's archive: name -> (pixels, classes), or the bytes of the file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in batches.items():
            if not isinstance(content, bytes):
                pixels, classes = content
                content = np.concatenate([classes[:, None], pixels], 1).astype(np.uint8).tobytes()
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def pickled(pixels, classes, columns=False):
    """A batch as Python 2 pickled it: a dict with a list of classes and an array of bytes, its strings of bytes."""
    string = lambda text: b"U" + bytes([len(text)]) + text + b"q\x05"
    order = "F" if columns else "C"
    data = np.asarray(pixels, np.uint8).tobytes(order)
    dtype = b"cnumpy\ndtype\n(" + string(b"u1") + b"K\x00K\x01tR(K\x03" + string(b"|")
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t" + string(b"b") + b"tR"
        + b"(K\x01(M" + struct.pack("<H", pixels.shape[0]) + b"M" + struct.pack("<H", pixels.shape[1]) + b"t"
        + dtype + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb" + (b"\x88" if columns else b"\x89")
        + b"T" + struct.pack("<I", len(data)) + data + b"tb"
    )  # fmt: skip
    listed = b"](" + b"".join(b"K" + bytes([one]) for one in classes) + b"e"
    return b"\x80\x02}(" + string(b"labels") + listed + string(b"data") + array + string(b"batch_label") + b"Nu."


def tiny(seed=0):
    """Small files in the true formats: name of a data set -> file -> bytes, and the arrays in them."""
    draw = np.random.default_rng(seed)
    x, y = draw.integers(0, 256, (30, 28, 28)), draw.integers(0, 10, 30)
    test_x, test_y = draw.integers(0, 256, (8, 28, 28)), draw.integers(0, 10, 8)
    batches = {
        name: (draw.integers(0, 256, (6, 3072)), draw.integers(0, 10, 6))
        for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
    }
    files = {
        "mnist": {
            "train-images-idx3-ubyte.gz": idx(x),
            "train-labels-idx1-ubyte.gz": idx(y),
            "t10k-images-idx3-ubyte.gz": idx(test_x),
            "t10k-labels-idx1-ubyte.gz": idx(test_y),
        },
        "cifar10": {"cifar-10-binary.tar.gz": archive(batches)},
    }
    return files, {"mnist": (x, y, test_x, test_y), "cifar10": batches}


def original(contents, mirrors=()):
    """What is published of tiny files: the sums of their content, under both names that each may have."""
    sums = {}
    for name, content in contents.items():
        plain = gzip.decompress(content) if name.endswith("ubyte.gz") else content
        sums[name] = sums[name.removesuffix(".gz")] = hashlib.md5(plain).hexdigest()
    return Original(tuple({name: sums[name], name.removesuffix(".gz"): sums[name]} for name in contents), mirrors)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Serves the tiny files on loopback, under their own checksums; yields (url, served folder, arrays)."""
    files, arrays = tiny()
    served = tmp_path / "served"
    served.mkdir()
    for contents in files.values():
        for name, content in contents.items():
            (served / name).write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served))
    url = f"http://127.0.0.1:{server.server_port}/"
    sources = {name: original(contents, (url,)) for name, contents in files.items()}
    monkeypatch.setattr(downloads, "ORIGINALS", sources)
    monkeypatch.setattr(datasets, "HELD_OUT", 5)
    monkeypatch.setenv("VGEXP_DATA", str(tmp_path / "data"))
    for name in ("mnist", "cifar10"):
        datasets.DATASETS[name].load.cache_clear()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield url, served, arrays
    server.shutdown()
    server.server_close()
    thread.join()
    for name in ("mnist", "cifar10"):
        datasets.DATASETS[name].load.cache_clear()


def test_mnist_is_fetched_once_and_read_as_it_was_written(mirror):
    _, served, arrays = mirror
    x, y, test_x, test_y = arrays["mnist"]
    fetch("mnist")
    for file in served.iterdir():
        file.unlink()
    fetch("mnist")  # nothing left to download
    data = datasets.DATASETS["mnist"]()
    assert (data.inputs, data.classes, data.white, data.size) == (784, 10, 255, 25)
    np.testing.assert_array_equal(data.valid()[0].numpy(), x[-5:].reshape(5, 784))
    np.testing.assert_array_equal(data.valid()[1].numpy(), y[-5:])
    np.testing.assert_array_equal(data.test()[0].numpy(), test_x.reshape(8, 784))
    np.testing.assert_array_equal(data.test()[1].numpy(), test_y)
    seen, classes = data.train(0, 0, 5)
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, x[:-5].reshape(25, 784).tolist()))
    assert sorted(classes.tolist()) == sorted(y[:-5].tolist())


def test_cifar10_is_read_in_the_order_of_its_batches(mirror):
    arrays = mirror[2]["cifar10"]
    fetch("cifar10")
    data = datasets.DATASETS["cifar10"]()
    assert (data.inputs, data.size) == (3072, 25)
    np.testing.assert_array_equal(data.valid()[0].numpy(), arrays["data_batch_5.bin"][0][-5:])
    np.testing.assert_array_equal(data.test()[0].numpy(), arrays["test_batch.bin"][0])
    np.testing.assert_array_equal(data.test()[1].numpy(), arrays["test_batch.bin"][1])


def test_a_stream_of_mnist(mirror):
    fetch("mnist")
    stream = Stream(DataConfig("mnist", 5, [-1.0, 1.0]), [0, 1], torch.float64, torch.device("cpu"))
    x, y = stream.batch(7)
    assert x.shape == (2, 5, 784)
    assert y.shape == (2, 5)
    assert -1 <= float(x.min()) < float(x.max()) <= 1
    with pytest.raises(ConfigError, match=r"data.batch_size: got 26, accepts at most 25 \(mnist\)"):
        datasets.dataset(DataConfig("mnist", 26))


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_data_set_that_is_not_here(mirror, name):
    with pytest.raises(Unavailable) as raised:
        datasets.DATASETS[name]()
    commands = [f"vgexp data fetch {name}{source}" for source in ("", " --from FOLDER", " --from URL")]
    assert raised.value.reason == "{} is not on this computer ({}, {}, or {})".format(name, *commands)
    assert "\n" not in str(raised.value)


def test_a_missing_file(mirror):
    (fetch("mnist") / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(Unavailable, match=r"t10k-labels-idx1-ubyte.gz is missing \(vgexp data fetch mnist,"):
        originals.mnist()


def bytes_of(magic, shape, count):
    return gzip.compress(magic + struct.pack(f">{len(shape)}I", *shape) + bytes(count), mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip at all", "is damaged"),
        (gzip.compress(bytes(2000), mtime=0)[:-9], "is damaged"),
        (bytes_of(b"\0\0\x0d\x03", (1, 28, 28), 784), "starts with 0x00000d03 where 0x00000803 is due"),
        (bytes_of(b"\0\0\x08\x03", (2, 28, 28), 784), r"holds 784 bytes where its header says \(2, 28, 28\)"),
        (gzip.compress(b"\0\0\x08\x03\0\0", mtime=0), "ends within its header"),
        (idx(np.zeros((7, 28, 28))), "7 images of the train set have 30 labels"),
        (idx(np.zeros((30, 27, 28))), "the train set has 30 images of 756 pixels, not of 784"),
    ],
    ids=["no gzip", "cut off", "other type", "wrong length", "no header", "wrong count", "wrong size"],
)
def test_damaged_idx_files(mirror, content, message):
    (fetch("mnist") / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(Unavailable, match=message) as raised:
        originals.mnist()
    assert "\n" not in str(raised.value)


def test_mnist_of_other_contents(mirror, monkeypatch):
    folder = fetch("mnist")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.full(8, 200)))
    with pytest.raises(Unavailable, match="the test set holds a class 200, above 9"):
        originals.mnist()
    monkeypatch.setattr(datasets, "HELD_OUT", 30)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(8)))
    with pytest.raises(Unavailable, match="the train set has 30 images, of which 30 are held out"):
        datasets.DATASETS["mnist"].load()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_is_full_is_no_fault_of_the_mirrors(mirror, number, monkeypatch):
    def full(url, path):
        raise OSError(number, "no")

    monkeypatch.setattr(downloads, "_retrieve", full)
    with pytest.raises(OSError, match="no") as raised:
        fetch("mnist")
    assert raised.value.errno == number and raised.value.filename


def test_a_tilde_is_the_users_home(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    gathered(tmp_path / "mine", "mnist")
    monkeypatch.setenv("VGEXP_DATA", "~/there")
    assert fetch("mnist", "~/mine") == tmp_path / "there" / "mnist"
    with pytest.raises(FetchError, match="--from: got '~nobody-of-this-name/x', accepts a folder"):
        fetch("cifar10", "~nobody-of-this-name/x")


def test_damaged_cifar_files(mirror):
    path = fetch("cifar10") / "cifar-10-binary.tar.gz"
    whole = path.read_bytes()
    good = {f"data_batch_{i}.bin": (np.zeros((2, 3072)), np.zeros(2)) for i in range(1, 6)}
    wrong_class = {**good, "test_batch.bin": (np.zeros((2, 3072)), np.full(2, 10))}
    wrong_size = {**good, "test_batch.bin": (np.zeros((2, 3000)), np.zeros(2))}
    for content, message in (
        (whole[: len(whole) // 2], "is damaged"),
        (archive(good), "lacks test_batch.bin"),
        (archive(wrong_class), "holds a class 10, above 9"),
        (archive(wrong_size), "holds 6002 bytes, no multiple of 3073"),
    ):
        path.write_bytes(content)
        with pytest.raises(Unavailable, match=message):
            originals.cifar10()


def test_fetching_mends_a_damaged_file(mirror):
    path = fetch("cifar10") / "cifar-10-binary.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    fetch("cifar10")
    assert path.read_bytes() == whole


def test_a_wrong_checksum_leaves_nothing_behind(mirror, tmp_path):
    _, served, _ = mirror
    (served / "cifar-10-binary.tar.gz").write_bytes(b"something else")
    with pytest.raises(FetchError, match="MD5") as raised:
        fetch("cifar10")
    assert "\n" not in str(raised.value)
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_the_next_mirror_is_tried(mirror, monkeypatch):
    url, _, _ = mirror
    sources = {name: Original(one.files, (url + "nothing/here/", url)) for name, one in downloads.ORIGINALS.items()}
    monkeypatch.setattr(downloads, "ORIGINALS", sources)
    fetch("mnist")
    assert len(originals.mnist()["test"][1]) == 8


def gathered(folder, name, gzipped=True):
    """A folder with the tiny files of a data set, compressed by another program or not at all."""
    folder.mkdir()
    for file, content in tiny()[0][name].items():
        if not file.endswith("ubyte.gz"):
            (folder / file).write_bytes(content)
        elif gzipped:
            (folder / file).write_bytes(gzip.compress(gzip.decompress(content), 1, mtime=99))
        else:
            (folder / file.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    return folder


@pytest.mark.parametrize("gzipped", [True, False])
def test_files_that_are_somewhere_are_taken_by_their_content(mirror, tmp_path, gzipped):
    source = gathered(tmp_path / "mine", "mnist", gzipped)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    (target := originals.folder("mnist")).mkdir(parents=True)
    (target / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    assert fetch("mnist", str(source)) == target
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    parts, (x, y, test_x, test_y) = originals.mnist(), mirror[2]["mnist"]
    for found, expected in zip((*parts["train"], *parts["test"]), (x, y, test_x, test_y), strict=True):
        np.testing.assert_array_equal(found, expected.reshape(found.shape))
    assert fetch("mnist", str(tmp_path / "nowhere")) == target  # all is there


@pytest.mark.parametrize("gzipped", [True, False])
def test_files_below_a_url(mirror, tmp_path, monkeypatch, gzipped):
    gathered(mirror[1] / "mine", "mnist", gzipped)
    unserved = {name: Original(one.files, ()) for name, one in downloads.ORIGINALS.items()}
    monkeypatch.setattr(downloads, "ORIGINALS", unserved)
    fetch("mnist", mirror[0] + "mine")
    assert len(originals.mnist()["train"][1]) == 30


def other(folder, content=b"other", file="t10k-labels-idx1-ubyte"):
    (folder / file).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda folder: folder / "nowhere", r"--from: got '.*nowhere', accepts a folder, or a URL"),
        (lambda folder: folder, r"accepts a folder with train-images-idx3-ubyte.gz or train-images-idx3-ubyte$"),
        (
            lambda folder: other(gathered(folder / "mine", "mnist", gzipped=False)),
            "t10k-labels-idx1-ubyte: got '795f3202b17cb6bc3d4b771d8c6c9eaf', accepts content with the MD5 sum",
        ),
        (
            lambda folder: other(gathered(folder / "mine", "mnist"), file="t10k-labels-idx1-ubyte.gz"),
            "t10k-labels-idx1-ubyte.gz: got 'a damaged file', accepts content with the MD5 sum",
        ),
    ],
    ids=["no folder", "an empty folder", "other content", "no gzip"],
)
def test_a_source_that_lacks_a_whole_file_leaves_nothing_behind(mirror, tmp_path, source, message):
    with pytest.raises(FetchError, match=message) as raised:
        fetch("mnist", str(source(tmp_path)))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("columns", [False, True])
def test_pickled_batches_are_read_without_unpickling(mirror, tmp_path, monkeypatch, columns):
    """What pickle makes of the same bytes is the oracle; here it must not be asked."""
    arrays = mirror[2]["cifar10"]
    batches = {name.removesuffix(".bin"): pickled(*batch, columns) for name, batch in arrays.items()}
    expected = {}
    for name, content in batches.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's modules have other names since
            expected[name] = pickle.loads(content, encoding="latin-1")
    content = archive(batches, "cifar-10-batches-py")
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    published = Original(({"cifar-10-binary.tar.gz": "", "cifar-10-python.tar.gz": md5},), ())
    monkeypatch.setattr(downloads, "ORIGINALS", {"cifar10": published})
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(pickle, "loads", None)
    fetch("cifar10", str(tmp_path))
    parts = originals.cifar10()
    names = [f"data_batch_{i}" for i in range(1, 6)]
    for key, which in (("data", 0), ("labels", 1)):
        np.testing.assert_array_equal(parts["train"][which], np.concatenate([expected[name][key] for name in names]))
        np.testing.assert_array_equal(parts["test"][which], expected["test_batch"][key])
    np.testing.assert_array_equal(parts["test"][0], arrays["test_batch.bin"][0])


def test_damaged_pickled_batches(mirror):
    (path := originals.folder("cifar10") / "cifar-10-python.tar.gz").parent.mkdir(parents=True)
    x, y = np.zeros((2, 3072)), np.array([3, 4])
    good = {f"data_batch_{i}": pickled(x, y) for i in range(1, 6)}
    for last, message in (
        ({}, "lacks test_batch"),
        ({"test_batch": pickled(x, np.array([3, 10]))}, "holds a class 10, above 9"),
        ({"test_batch": pickled(x[:, :3000], y)}, "holds 6000 bytes of pixels with 2 classes"),
        ({"test_batch": pickled(x, y)[:500]}, "test_batch is damaged"),
        ({"test_batch": b""}, "test_batch is damaged"),
    ):
        path.write_bytes(archive({**good, **last}, "cifar-10-batches-py"))
        with pytest.raises(Unavailable, match=message) as raised:
            originals.cifar10()
        assert "\n" not in str(raised.value)


def test_a_name_that_is_no_original():
    with pytest.raises(ConfigError, match="NAME: got 'minst', accepts mnist, cifar10"):
        fetch("minst")
