"""Pages of the documentation that are made from the code: the configuration, the tables, and what Python calls.

mkdocs calls `on_files` when it builds; the other functions return the text of a page and need no mkdocs.
"""

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from vgexp.config import FIELDS, Run, flat
from vgexp.networks.identity import REGISTRIES
from vgexp.results import COLUMNS, TABLES, WATCHED

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PACKAGES = ("networks", "data", "numerics", "results", "theory", "claims", "figures")
"""Packages whose public names are documented, each on a page of its own."""
CALLED = (
    "vgexp.experiments.launch.run",
    "vgexp.results.reading.read",
    "vgexp.results.tables.Results",
    "vgexp.figures.sweeps.plot",
    "vgexp.papers.report",
    "vgexp.experiments.prediction.predict",
    "vgexp.experiments.prediction.Prediction",
    "vgexp.watching.monitor.watch",
    "vgexp.watching.monitor.Monitor",
    "vgexp.watching.checkup.diagnose",
    "vgexp.watching.verdicts.diagnosis.Diagnosis",
    "vgexp.watching.verdicts.findings.Finding",
)
"""What `vgexp` itself offers, and what it returns."""


def _row(*cells: str) -> str:
    """One line of a table in Markdown: bars and tags within a cell are text."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join([_row(*head), _row(*["---"] * len(head)), *(_row(*row) for row in rows)])


def accepts(key: str) -> str:
    """What a field accepts: the names of its dict, those of its rule, or its rule in words."""
    names = REGISTRIES.get(key, FIELDS[key].rule.names)
    return ", ".join(f"`{name}`" for name in names) or FIELDS[key].rule.words


def _default(value: Any) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"


def configuration() -> str:
    """Every field of the config: its default, its meaning, what it accepts, and how it is used."""
    defaults = flat(Run())
    text = [CONFIGURATION]
    for group in dict.fromkeys(key.rpartition(".")[0] for key in FIELDS):
        keys = [key for key in FIELDS if key.rpartition(".")[0] == group]
        config: Any = Run if not group else next(item.type for item in fields(Run) if item.name == group)
        text.append(f"## {f'`{group}`' if group else 'The run'}\n\n{config.__doc__}\n")
        rows = []
        for key in keys:
            known = FIELDS[key]
            marks = ["member"] * known.member + ["of the sweep"] * known.of_sweep
            marks += ["changes no number"] * (not known.in_identity and not known.of_sweep)
            marks += [f"read by {', '.join(f'`{by}`' for by in known.read_by)}"] if known.read_by else []
            default = defaults[key] if key in defaults else getattr(Run(), key)
            rows.append((f"`{key}`", _default(default), known.meaning, accepts(key), "; ".join(marks)))
        text.append(_table(("field", "default", "meaning", "accepts", ""), rows) + "\n")
    return "\n".join(text)


CONFIGURATION = """# Configuration

Every field of a run. On the command line write `field=value`; in Python, `vgexp.run("field=value", ...)`. A list of
values, `field=a,b`, is swept with `-m`; `range(0,5)` is a list too.

*Member*: runs that differ only in such fields train together in one stack; all other fields are structure. *Read by*:
the field matters only where what the named field chooses uses it. A value that is not accepted, or a field that changes
nothing, ends the command before anything starts: exit code 2, and one line that says what is accepted.
"""


def tables() -> str:
    """Every table of a results folder, and every column of it."""
    text = [TABLES_INTRO]
    for name, table in TABLES.items():
        text.append(f"## `{name}`\n\nA row for each value of {', '.join(f'`{key}`' for key in table.key)}.\n")
        if name == "runs":
            text.append("The fields of the [configuration](configuration.md) besides, under their dotted names.\n")
        text.append(_columns(table.key + table.columns, table.optional) + "\n")
    text.append("## A watched network\n\n`monitor.frame()` of [your own network](watch.md) has these columns.\n")
    text.append(_columns(WATCHED.names, ()) + "\n")
    return "\n".join(text)


def _columns(always: tuple[str, ...], sometimes: tuple[str, ...]) -> str:
    rows = [(f"`{name}`", COLUMNS[name].meaning, COLUMNS[name].unit, "") for name in always]
    rows += [(f"`{name}`", COLUMNS[name].meaning, COLUMNS[name].unit, "some runs") for name in sometimes]
    return _table(("column", "meaning", "unit", ""), rows)


TABLES_INTRO = """# The tables

Everything that is measured lies in tidy tables, one a grain, joined by `run`. On disk they are parquet files, one part
a stack; `vgexp.read("results/depths")` gives them as pandas frames, `vgexp export results/depths --csv` as CSV files.

```
results/<name>/  or  results/<paper>/<scale>/
    plan.json                           what was asked for, and which grid a run belongs to
    runs/part-<stack>.parquet           one row a run
    steps/  layers/  histograms/  spectra/
    claims.csv  figures/  report.html   a paper's claims, the figures (svg, png), one page that works offline
```

T steps give T + 1 observations: step 0 is the network at initialisation. Layers 1 to `depth` are the hidden ones, layer
`depth + 1` is the readout. Columns of *some runs* belong to a probe tier, a memory mode or a family; a quantity that
[you add](extending.md) has a column too.
"""


def called() -> str:
    """What `import vgexp` offers, and what it returns."""
    return "\n\n".join([CALLED_INTRO, *(f"::: {path}" for path in CALLED)])


CALLED_INTRO = """# What you call

`import vgexp` offers these functions; the classes are what they return.
"""


def package(name: str) -> str:
    """The functions and classes that a package makes public, and the names of its dicts."""
    found = importlib.import_module(f"vgexp.{name}")
    text = [f"# vgexp.{name}", (found.__doc__ or "").split("\n\n")[0]]
    made = {public: getattr(found, public) for public in sorted(found.__all__)}
    paths = []
    for public, value in made.items():
        if isinstance(value, dict) and public.isupper():
            text.append(f"`{public}`: {', '.join(f'`{key}`' for key in value)}")
        elif (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__.startswith("vgexp."):
            paths.append(f"{value.__module__}.{value.__qualname__}")
    return "\n\n".join([*text, *(f"::: {path}" for path in dict.fromkeys(paths))])


def pages() -> dict[str, str]:
    """The text of every page that is made here, by its path."""
    made = {"configuration.md": configuration(), "tables.md": tables(), "api/vgexp.md": called()}
    return made | {f"api/{name}.md": package(name) for name in PACKAGES}


def on_files(files: "Files", config: "MkDocsConfig") -> "Files":
    """Adds the pages that are made here; mkdocs calls it once a build."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files
