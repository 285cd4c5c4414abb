"""The shape of the repository: packages with one direction, the README's tree, the public names."""

import ast
import importlib
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vgexp
from vgexp.moved import MOVED

CHECKOUT = Path(__file__).parent.parent
HOUSE = [
    "cli",
    "papers",
    "experiments",
    "pages",
    "watching",
    "figures",
    "training",
    "claims",
    "costs",
    "theory",
    "results",
    "networks",
    "data",
    "numerics",
    "config",
]
"""Imports point down this list, from left to right."""


def modules(folder):
    return sorted(folder.rglob("*.py"))


def imports(path):
    """Every module of vgexp that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "vgexp":
            yield from (f"vgexp.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vgexp."):
            yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("vgexp."))


@pytest.mark.parametrize("package", HOUSE)
def test_imports_point_down_the_house(package):
    for path in modules(CHECKOUT / "vgexp" / package):
        for imported in imports(path):
            other = imported.split(".")[1]
            assert HOUSE.index(package) <= HOUSE.index(other), f"{path} imports {imported}"


ROOMS = ["callbacks", "monitor", "verdicts", "tracing", "hooks"]
"""Imports point down this list within `watching`; its other modules may import all."""


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_down_the_rooms_of_watching(room):
    for path in modules(CHECKOUT / "vgexp" / "watching"):
        if path.relative_to(CHECKOUT / "vgexp" / "watching").with_suffix("").parts[0] == room:
            for imported in imports(path):
                other = [*imported.split("."), ""][2]
                assert not imported.startswith("vgexp.watching") or ROOMS.index(room) <= ROOMS.index(other), imported


@pytest.mark.parametrize("package", HOUSE)
def test_packages_say_what_they_are_for(package):
    found = importlib.import_module(f"vgexp.{package}")
    assert found.__doc__ and found.__doc__.split("\n\n")[0].rstrip().endswith(".")
    assert {
        path.name for path in (CHECKOUT / "vgexp").iterdir() if path.is_dir() and path.name != "__pycache__"
    } == set(HOUSE)


def test_watching_loads_neither_data_nor_sweeps():
    """Nor drawing, nor Hydra: a person's own training imports it."""
    code = "import sys, vgexp.watching; print(*sorted(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = ("vgexp.data", "vgexp.experiments", "vgexp.training", "vgexp.figures", "hydra", "matplotlib", "sklearn")
    assert not [name for name in found if name.startswith(heavy)]


LAZY = ["vgexp", "vgexp.claims", "vgexp.experiments", "vgexp.results"]
"""Packages whose names load their module when they are first asked for."""


@pytest.mark.parametrize("package", LAZY)
def test_names_of_lazy_packages_are_none_of_their_modules(package):
    """Importing a module of that name would put it in the place of what the package promises."""
    found = importlib.import_module(package)
    below = {path.stem for path in Path(found.__file__).parent.iterdir()}
    assert [name for name in dir(found) if name != "__version__"] == sorted(found.__all__) and not below & set(
        found.__all__
    )


@pytest.mark.parametrize("package", LAZY)
def test_lazy_packages_load_nothing_before_they_are_asked(package):
    code = f"import sys, {package}; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pandas", "numpy", "scipy", "hydra", "matplotlib"} & set(found)


def test_modules_are_small_and_well_named():
    for path in modules(CHECKOUT / "vgexp"):
        assert len(path.read_text().splitlines()) <= 300, path
        assert path.stem not in {"utils", "common", "base", "core", "helpers", "manager", "registry"}
        assert path.stem not in vgexp.__all__ and path.parent.name not in vgexp.__all__


def test_readme_shows_the_packages_as_they_are():
    text = (CHECKOUT / "README.md").read_text()
    tree = text[text.index("## What is where") :]
    shown = re.findall(r"^ {4}(\w+)(?:/|\.py)\s", tree[: tree.index("conf/")], re.MULTILINE)
    assert shown == HOUSE


def test_public_names():
    assert vgexp.__all__ == sorted(vgexp.__all__) == ["diagnose", "plot", "predict", "read", "report", "run", "watch"]
    assert all(callable(getattr(vgexp, name)) for name in vgexp.__all__)
    assert dir(vgexp) == ["__version__", *vgexp.__all__]
    said = pydoc.render_doc(vgexp, renderer=pydoc.plaintext)
    listed = said[said.index("FUNCTIONS") :]
    assert all(re.search(rf"^    {name}\(", listed, re.MULTILINE) for name in vgexp.__all__)
    assert f"VERSION\n    {vgexp.__version__}" in said


EXTENSIONS = {
    "vgexp.networks": ["ACTIVATIONS", "FAMILIES", "INITIALIZERS", "LOSSES", "OPTIMIZERS"],
    "vgexp.data": ["DATASETS"],
    "vgexp.numerics": ["QUANTITIES"],
}
"""The dicts that users add entries to."""


@pytest.mark.parametrize(("package", "names"), EXTENSIONS.items())
def test_extension_points_are_dicts_that_the_documentation_names(package, names):
    page = (CHECKOUT / "docs/extending.md").read_text()
    for name in names:
        assert isinstance(getattr(importlib.import_module(package), name), dict)
        assert re.search(rf"`{package}`[^;.]*`{name}`", page), f"{package} {name}"


@pytest.mark.parametrize("old", MOVED)
def test_old_paths_name_the_new_ones(old):
    with pytest.raises(ModuleNotFoundError, match=rf"vgexp\.{old} is now vgexp\.{MOVED[old]}$"):
        importlib.import_module(f"vgexp.{old}")
    if not MOVED[old].endswith("callbacks"):
        importlib.import_module(f"vgexp.{MOVED[old]}")


ELSEWHERE = {
    "cli/data": "tests/test_cli.py",
    "cli/judging": "tests/test_cli.py",
    "data/downloads": "tests/data/test_originals.py",
    "moved": "test_old_paths_name_the_new_ones",
    "papers/*/claims": "tests/test_papers.py",
    "results/errors": "tests/results/test_reading.py",
    "theory/expected": "tests/theory/test_meanfield.py",
}
"""Modules without a test module of their own place, and where they are tested."""
WHOLE = {
    "test_explorer",
    "test_golden",
    "test_stack",
    "test_extensions",
    "test_faults",
    "test_field",
    "test_inputs",
    "test_invariance",
    "test_readme",
    "test_unfinished",
    "test_wheel",
    "test_repository",
    "test_papers",
    "test_cli",
    "test_docs",
}
"""Test modules of more than one module."""
SHARED = {"browser", "cluster", "conftest", "drawn", "field", "many", "nightly", "samples", "walk", "watched", "zoo"}
"""Modules and folders that tests share."""


def test_every_test_module_mirrors_a_module():
    for path in modules(CHECKOUT / "tests"):
        mirrored = CHECKOUT / "vgexp" / path.relative_to(CHECKOUT / "tests").parent / f"{path.stem[5:]}.py"
        assert {path.stem, path.parent.name} & (WHOLE | SHARED) or mirrored.exists(), path


def test_every_module_has_its_mirrored_test_module():
    missing = set()
    for path in modules(CHECKOUT / "vgexp"):
        name = path.relative_to(CHECKOUT / "vgexp").with_suffix("")
        tests = CHECKOUT / "tests" / name.parent / f"test_{name.name}.py"
        if not (path.stem.startswith("__") or any(name.match(known) for known in ELSEWHERE) or tests.exists()):
            missing.add(str(name))
    assert not missing
