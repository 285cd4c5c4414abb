"""The shape of the repository: floors, the README's tree, the public names."""

import ast
import re
from pathlib import Path

import vgexp

CHECKOUT = Path(__file__).parent.parent

FLOORS = (
    "seeds schedules blas products tensorboard",
    "norms",
    "analysis activations initializers layers losses config shapeset provenance progress sheets",
    "quantities originals style differentiation",
    "datasets graph",
    "checkpoint live",
    "reversible",
    "optimizers models theory store sweep sightings",
    "probes costs claims figures remedies listener",
    "diagnosis",
    "monitor",
    "checkup",
    "forecast",
    "records report measures",
    "histories surfaces",
    "train",
    "experiment papers",
    "prediction",
    "cli",
)
"""Imports point down, or sideways where one module of a floor stands on another without a circle."""


def imports(path):
    """Modules of vgexp that a file imports at its top level."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "vgexp":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vgexp."):
            found.add(str(node.module).split(".")[1])
    return found


def test_imports_point_down_the_floors():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
    modules = {path.stem: path for path in (CHECKOUT / "vgexp").glob("*.py") if not path.stem.startswith("__")}
    modules |= {"papers": CHECKOUT / "vgexp" / "papers" / "__init__.py"}
    assert set(modules) == set(floor)
    for name, path in modules.items():
        for imported in imports(path):
            assert floor[imported] < floor[name], f"{name} imports {imported}"
    for path in (CHECKOUT / "vgexp" / "papers").glob("[!_]*.py"):
        assert all(floor[name] < floor["papers"] for name in imports(path) - {"papers"})  # its own claims


def test_modules_are_small_and_well_named():
    for path in (CHECKOUT / "vgexp").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 330, path
        assert path.stem not in {"utils", "common", "base", "core", "helpers", "manager", "registry"}


def test_readme_shows_the_tree_as_it_is():
    text = (CHECKOUT / "README.md").read_text()
    shown = set(re.findall(r"^\s*(?:vgexp/)?(\w+)\.py\s", text, re.MULTILINE))
    modules = {path.stem for path in (CHECKOUT / "vgexp").glob("*.py") if not path.stem.startswith("__")}
    below = {path.stem for name in ("papers", "callbacks") for path in (CHECKOUT / "vgexp" / name).glob("[!_]*.py")}
    assert shown == modules | below


def test_public_names():
    assert vgexp.__all__ == sorted(vgexp.__all__) == ["diagnose", "predict", "read", "run", "watch"]
    assert all(callable(getattr(vgexp, name)) for name in vgexp.__all__)
    assert not {path.stem for path in (CHECKOUT / "vgexp").glob("*.py")} & set(vgexp.__all__)


def test_every_test_module_mirrors_a_module():
    beside = {"conftest", "test_stack", "test_wheel", "test_repository", "test_papers", "test_callbacks", "zoo"}
    modules = {f"test_{path.stem}" for path in (CHECKOUT / "vgexp").glob("*.py")}
    assert {path.stem for path in (CHECKOUT / "tests").glob("*.py")} <= modules | beside
