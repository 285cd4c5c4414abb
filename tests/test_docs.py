"""The documentation: its programs run, and the pages that are made from the code are whole."""

import importlib
import importlib.util
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import vgexp
from vgexp.cli import app
from vgexp.config import FIELDS
from vgexp.experiments.compose import composer, groups
from vgexp.experiments.overrides import check_keys, latest
from vgexp.experiments.plan import plan
from vgexp.experiments.sweep import grids
from vgexp.networks.identity import REGISTRIES
from vgexp.numerics import QUANTITIES
from vgexp.results import TABLES, WATCHED

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language):
    """The code of a page in one language, each under the heading that it stands below."""
    sections = re.split(r"^##? (?=[A-Z])", (DOCS / page).read_text(), flags=re.MULTILINE)[1:]
    return [
        (section.partition("\n")[0], code)
        for section in sections
        for code in re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    ]


@pytest.fixture(autouse=True)
def _registries_as_they_were():
    registries = [*REGISTRIES.values(), QUANTITIES]
    before = [dict(entries) for entries in registries]
    yield
    for entries, old in zip(registries, before, strict=True):
        entries.clear()
        entries.update(old)


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("documentation_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PROGRAMS = [(heading, code) for heading, code in blocks("extending.md", "python") if heading != "A paper"]


@pytest.mark.parametrize(("heading", "code"), PROGRAMS, ids=[heading for heading, _ in PROGRAMS])
def test_every_program_of_extending_runs(heading, code, capsys):
    """In a fresh namespace, to its end, with something to show; what it trains is trained."""
    Path("mine.py").write_text(code)
    made = runpy.run_path("mine.py")
    said = capsys.readouterr().out
    assert said.strip() and "nan" not in said.lower(), heading
    if "results" in made:
        assert (made["results"].runs["status"] == "done").all()


def test_the_notebook_of_a_network_shows_what_its_code_prints(capsys):
    """In words: the last digits of numbers are those of the computer that it ran on."""
    cells = json.loads((DOCS.parent / "notebooks" / "my_network.ipynb").read_text())["cells"]
    numbers, names = re.compile(r"\d[\d.]*(e-?\d+)?"), {}
    with torch.random.fork_rng():
        for cell in cells:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), names)
                shown = "".join(line for output in cell["outputs"] for line in output.get("text", ""))
                assert numbers.sub("#", capsys.readouterr().out) == numbers.sub("#", shown)


def test_extending_has_what_can_be_added():
    headings = {heading for heading, _ in PROGRAMS}
    assert headings >= {"An activation", "An initialiser", "A family", "A data set", "An optimiser", "A quantity"}


def test_the_paper_of_extending_is_reproduced(monkeypatch):
    (_, grids), (_, module), (_, command) = (blocks("extending.md", kind)[-1] for kind in ("yaml", "python", "sh"))
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/bengio1994.yaml").write_text(grids)
    Path("bengio1994.py").write_text(module)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as end:
        app.main()
    assert not end.value.code
    assert pd.read_csv("results/bengio1994/smoke/claims.csv")["verdict"].tolist() == ["holds"]
    assert Path("results/bengio1994/smoke/figures/profile.svg").exists()


PAGES = (DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")))
TYPED = sorted(
    {
        " ".join(line.split())
        for page in PAGES
        for line in re.findall(r"^vgexp train (.*)$", page.read_text().replace("\\\n", " "), re.MULTILINE)
    }
)
"""Every training that a page of the documentation, or the README, tells to type."""


@pytest.mark.parametrize("command", TYPED)
def test_every_training_that_is_shown_can_be_planned(command):
    overrides = [text for text in shlex.split(command.partition(" #")[0]) if text != "-m"]
    check_keys(overrides, groups())
    with composer() as compose:
        asked = grids(latest(overrides), compose)
    assert plan(asked, latest(overrides)).runs


def test_the_configuration_names_every_field_with_its_default_and_what_it_accepts(hooks):
    page = hooks.configuration()
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE))
    assert len(rows) == len(FIELDS) and set(rows) == set(FIELDS)
    for key, row in rows.items():
        default, meaning, accepted, _ = row.split(" | ")
        assert default.strip("`") and meaning == FIELDS[key].meaning.replace("<", "&lt;"), key
        assert accepted == hooks.accepts(key), key
    for key, entries in REGISTRIES.items():
        assert set(re.findall(r"`(\w+)`", hooks.accepts(key))) == set(entries)
    assert rows["model.depth"].startswith("`5` | Number of hidden layers. | an integer of at least 1")
    assert rows["init.sigma_w"].startswith("`null`") and rows["rerun"].startswith("`false`")


def test_the_tables_name_every_column(hooks):
    page = hooks.tables()
    for name, table in TABLES.items():
        section = page[page.index(f"## `{name}`") :].split("\n## ")[0]
        assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == list(table.names)
    assert re.findall(r"^\| `(\w+)`", page[page.index("## A watched") :], re.MULTILINE) == list(WATCHED.names)


def test_what_python_calls_is_there(hooks):
    for path, text in hooks.pages().items():
        if path.startswith("api/"):
            named = re.findall(r"^::: (.*)$", text, re.MULTILINE)
            assert named and len(named) == len(set(named)), path
            for name in named:
                module, _, attribute = name.rpartition(".")
                assert getattr(importlib.import_module(module), attribute).__doc__, name


def test_what_python_calls_first_is_all_that_vgexp_offers(hooks):
    assert {f"{getattr(vgexp, name).__module__}.{name}" for name in vgexp.__all__} <= set(hooks.CALLED)


def test_the_navigation_names_every_page(hooks):
    named = set(re.findall(r": ([\w/]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.MULTILINE))
    assert named == {*hooks.pages(), *(path.name for path in DOCS.glob("*.md"))}
