import pytest

from vgexp.results.files import write_atomically


def test_every_write_is_all_or_nothing(tmp_path, monkeypatch):
    """A fault at fsync or at the rename leaves the old content and no litter."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    for fault in ("os.fsync", "pathlib.Path.replace"):
        with monkeypatch.context() as patch:
            patch.setattr(fault, lambda *_: (_ for _ in ()).throw(OSError("disk full")))
            with pytest.raises(OSError, match="disk full"):
                write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["file"]
