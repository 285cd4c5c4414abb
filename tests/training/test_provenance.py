import platform
import subprocess
from importlib.metadata import PackageNotFoundError

import pytest
import torch

from vgexp.numerics.processor import model_name
from vgexp.results.columns import PROVENANCE
from vgexp.training import provenance as provenances
from vgexp.training.provenance import git_state, package_version, provenance


def git(folder, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository whose vgexp/training/provenance.py is the module."""
    module = tmp_path / "checkout" / "vgexp" / "training" / "provenance.py"
    module.parent.mkdir(parents=True)
    module.touch()
    monkeypatch.setattr(provenances, "__file__", str(module))
    monkeypatch.delenv("GIT_DIR", raising=False)
    git_state.cache_clear()
    yield tmp_path / "checkout"
    git_state.cache_clear()


def commit(checkout):
    git(checkout, "init", "--quiet")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message", "first")


def test_columns():
    found = provenance(torch.device("cpu"))
    assert set(found) <= set(PROVENANCE)
    assert set(PROVENANCE) - set(found) == {"stack"}
    assert found["torch"] == torch.__version__
    assert found["python"] == platform.python_version()
    assert found["processor"] == model_name()
    assert (found["device"], found["threads"]) == ("cpu", torch.get_num_threads())


def test_a_clean_checkout(checkout):
    commit(checkout)
    assert git_state() == (git(checkout, "rev-parse", "HEAD"), False)


@pytest.mark.parametrize(("changed", "dirty"), [("results/runs.csv", False), ("vgexp/new.py", True)])
def test_new_results_leave_a_checkout_clean(checkout, changed, dirty):
    commit(checkout)
    (checkout / changed).parent.mkdir(exist_ok=True)
    (checkout / changed).write_text("new")
    assert git_state() == (git(checkout, "rev-parse", "HEAD"), dirty)


def test_no_checkout(checkout):
    assert git_state() == ("", False)


def test_a_checkout_without_commits_or_without_git(checkout, monkeypatch):
    git(checkout, "init", "--quiet")
    assert git_state() == ("", False)
    git_state.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert git_state() == ("", False)


def test_the_version_of_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(provenances, "version", lambda name: "1.2.3")
    assert package_version() == "1.2.3"

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenances, "version", missing)
    assert package_version() == "unknown"
