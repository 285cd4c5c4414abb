import sys

import pytest

from vgexp.config.errors import ConfigError
from vgexp.experiments.imports import IMPORTS, load_imports
from vgexp.networks.activations import ACTIVATIONS

MODULE = """
from vgexp.networks import ACTIVATIONS

ACTIVATIONS["{name}"] = ACTIVATIONS["tanh"]
"""


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules, before = set(sys.modules), dict(ACTIVATIONS)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    ACTIVATIONS.clear()
    ACTIVATIONS.update(before)


def test_modules_of_the_working_folder(tmp_path, monkeypatch):
    for name in ("first_of_mine", "second_of_mine"):
        (tmp_path / f"{name}.py").write_text(MODULE.format(name=name))
    monkeypatch.setenv(IMPORTS, "first_of_mine,second_of_mine")
    load_imports()
    assert {"first_of_mine", "second_of_mine"} <= ACTIVATIONS.keys()


def test_entry_points(tmp_path, monkeypatch):
    (tmp_path / "packaged.py").write_text(MODULE.format(name="packaged"))
    installed = tmp_path / "packaged-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: packaged\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[vgexp]\npackaged = packaged\n")
    monkeypatch.syspath_prepend(tmp_path)
    load_imports()
    assert "packaged" in ACTIVATIONS


@pytest.mark.parametrize("text", ["import no_such_module_at_all", "from vgexp.networks import NO_SUCH_NAME"])
def test_a_module_that_cannot_be_imported(text, tmp_path, monkeypatch):
    (tmp_path / "broken_one.py").write_text(text)
    monkeypatch.setenv(IMPORTS, "broken_one")
    with pytest.raises(ConfigError, match=r"--import: got 'broken_one', accepts a module .*(no_such|NO_SUCH)"):
        load_imports()
