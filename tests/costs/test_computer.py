"""Memory in containers: files as Linux has them, in a folder of the test's own."""

import resource

import pytest

from vgexp.costs import computer


@pytest.fixture
def limited(tmp_path, monkeypatch):
    """Writes what the process's control groups are and what their files say."""
    monkeypatch.setattr(computer, "ROOT", tmp_path)

    def write(groups, **files):
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/cgroup").write_text(groups)
        for path, text in files.items():
            file = tmp_path / "sys/fs/cgroup" / path.replace("__", "/").replace("_max", ".max")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


def test_without_control_groups_it_is_the_machines(tmp_path, monkeypatch):
    monkeypatch.setattr(computer, "ROOT", tmp_path)
    assert computer.memory() > 10**8


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory_max": "3000000"}, 3_000_000),
        ("0::/a/b\n", {"a__memory_max": "2000000\n", "a__b__memory_max": "max\n"}, 2_000_000),
        ("0::/a/b\n", {"a__memory_max": "2000000", "a__b__memory_max": "1000000"}, 1_000_000),
        ("0::/not/seen/in/here\n", {"memory_max": "4000000"}, 4_000_000),
    ],
)
def test_version_2(groups, files, expected, limited):
    limited(groups, **files)
    assert computer.memory() == expected


def test_version_1(limited, tmp_path):
    limited("4:memory:/box\n3:cpu,cpuacct:/\n0::/\n")
    whole = computer.memory()
    folder = tmp_path / "sys/fs/cgroup/memory/box"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("5000000\n")
    assert computer.memory() == 5_000_000
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n")  # none
    assert computer.memory() == whole


def test_a_limit_of_the_address_space(limited, monkeypatch):
    limited("0::/\n")
    limits = {resource.RLIMIT_AS: (123456, 10**9), resource.RLIMIT_DATA: (resource.RLIM_INFINITY,) * 2}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    assert computer.memory() == 123456
