import functools
import gzip
import hashlib
import io
import struct
import tarfile
import threading
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


def archive(batches):
    """Bytes of CIFAR-10's archive: name -> (pixels, classes)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, (pixels, classes) in batches.items():
            content = np.concatenate([classes[:, None], pixels], 1).astype(np.uint8).tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


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
    sources = {
        name: Original({file: hashlib.md5(content).hexdigest() for file, content in contents.items()}, (url,))
        for name, contents in files.items()
    }
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
    assert raised.value.reason == f"{name} is not on this computer (vgexp data fetch {name})"
    assert "\n" not in str(raised.value)


def test_a_missing_file(mirror):
    (fetch("mnist") / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(Unavailable, match=r"t10k-labels-idx1-ubyte.gz is missing \(vgexp data fetch mnist\)"):
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
    ],
    ids=["no gzip", "cut off", "other type", "wrong length", "no header", "wrong count"],
)
def test_damaged_idx_files(mirror, content, message):
    (fetch("mnist") / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(Unavailable, match=message) as raised:
        originals.mnist()
    assert "\n" not in str(raised.value)


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


def test_the_next_mirror_is_tried(mirror):
    url, _, _ = mirror
    fetch("mnist", [url + "nothing/here/"])
    assert len(originals.mnist()["test"][1]) == 8


def test_a_name_that_is_no_original():
    with pytest.raises(ConfigError, match="NAME: got 'minst', accepts mnist, cifar10"):
        fetch("minst")
