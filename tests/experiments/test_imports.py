import importlib
import sys
from pathlib import Path

import pytest

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.experiments.compose import composer
from vgexp.experiments.imports import IMPORTS, load_imports
from vgexp.experiments.plan import plan
from vgexp.experiments.sweep import grids
from vgexp.networks.activations import ACTIVATIONS
from vgexp.results.status import folder_status

MODULE = """
from vgexp.networks import ACTIVATIONS

ACTIVATIONS["{name}"] = ACTIVATIONS["tanh"]
"""


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(ACTIVATIONS)
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
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


def test_an_edited_entry_is_computed_again_and_an_untouched_one_is_done(tmp_path, monkeypatch):
    overrides = [
        "name=train",
        "data.name=digits",
        "model.depth=1",
        "model.width=4",
        "model.activation=bent",
        "steps=0",
        "eval.every=never",
    ]
    monkeypatch.setenv(IMPORTS, "bent_of_mine")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def todo(slope):
        text = "from vgexp.networks import ACTIVATIONS, Activation\n"
        text += f"ACTIVATIONS['bent'] = Activation(lambda z: {slope} * z, lambda z: {slope} + 0 * z)\n"
        (tmp_path / "bent_of_mine.py").write_text(text)
        sys.modules.pop("bent_of_mine", None)
        importlib.invalidate_caches()
        with composer() as compose:
            return len(plan(grids(overrides, compose)).jobs)

    assert todo(0.5) == 1
    vgexp.run(*overrides)
    assert todo(0.5) == 0
    assert todo(0.6) == 1
    [edited] = vgexp.run(*overrides).runs["run"]
    assert vgexp.read("results/train").runs["run"].tolist() == [edited]
    assert [found.run for found in folder_status(Path("results/train")).runs] == [edited]
    assert todo(0.5) == 0  # what was computed before the edit is there still
