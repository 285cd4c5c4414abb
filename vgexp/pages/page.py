"""The page: one HTML file with the figures, tables and claims of a results folder.

It works offline and escapes what it shows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from vgexp.config import counted
from vgexp.figures import Picture, Table, draw_all, save, svg
from vgexp.pages.facts import facts
from vgexp.pages.packing import Numbers, packed, packed_json
from vgexp.pages.sections import asked, claim_entries, fit_rows, interval, number, origins, status_counts
from vgexp.results import Results, read, remove_abandoned, write_atomically

SCRIPTS = ("unpack", "charts", "tables", "watch", "view", "address", "profiles", "curves", "detail", "explorer")


@dataclass(frozen=True)
class Content:
    """What a page shows beside the results themselves."""

    title: str = ""
    intro: str = ""
    pictures: Mapping[str, Picture | str] | None = None
    """By name; a string says why there is no picture. None: whatever the results can fill."""
    claims: pd.DataFrame | None = None
    tables: Mapping[str, Table] = field(default_factory=dict)
    grids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The grids that a claim reads, by its name."""
    commands: Mapping[str, str] = field(default_factory=dict)
    """What runs these grids, by the name of the claim."""


def write_report(folder: Path, results: Results | None = None, content: Content | None = None) -> Path:
    """Writes figures/ and report.html of a results folder; returns the path of the page."""
    results, content = results or read(folder), content or Content()
    remove_abandoned(folder)
    pictures = draw_all(results) if content.pictures is None else content.pictures
    drawn = {
        name: save(picture.figure, folder / "figures", name)
        for name, picture in pictures.items()
        if isinstance(picture, Picture)
    }
    page = render([folder], results, replace(content, pictures=pictures), drawn)
    write_atomically(folder / "report.html", page.encode())
    return folder / "report.html"


def render(folders: Sequence[Path], results: Results, content: Content, drawn: Mapping[str, str] | None = None) -> str:
    """The page of some folders as text; nothing is written. `drawn`: the pictures as SVG, where they are already."""
    pictures = draw_all(results) if content.pictures is None else content.pictures
    captions = {name: one.caption if isinstance(one, Picture) else one for name, one in pictures.items()}
    if drawn is None:
        drawn = {name: svg(one.figure) for name, one in pictures.items() if isinstance(one, Picture)}
    within = {name: text[text.index("<svg") :] for name, text in drawn.items()}
    claims = content.claims
    fits, carried = fit_rows(results), Numbers()
    found = facts(results, carried)
    environment = Environment(loader=PackageLoader("vgexp.pages", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"counted": counted, "number": number, "interval": interval}
    return environment.get_template("report.html.j2").render(
        title=content.title or " and ".join(map(str, folders)),
        intro=content.intro,
        asked=asked(results),
        folders=folders,
        left_out=found["left_out"],
        css=Markup(_text("page.css")),
        script=Markup("\n".join(_text(f"scripts/{name}.js") for name in SCRIPTS)),
        packed={"facts": packed_json(found), "numbers": carried.packed(), "pictures": packed_json(within)} | _bokeh(),
        captions=captions,
        tables=content.tables,
        claims=[] if claims is None else claim_entries(claims, [*pictures], content.grids, content.commands),
        verdicts={} if claims is None else claims.drop_duplicates("claim")["verdict"].value_counts().to_dict(),
        fits=fits,
        gradients=dict(Counter(row["verdict"] for row in fits)),
        statuses=status_counts(results),
        diverged=int(results.runs["diverged_at"].notna().sum()),
        commands=results.commands,
        origins=origins(results),
        damaged=results.damaged,
    )


def _text(name: str) -> str:
    return files("vgexp.pages").joinpath(name).read_text()


@cache
def _bokeh() -> dict[str, str]:
    """Bokeh's code, which the page carries: BSD-3-Clause, its authors are named in it."""
    static = files("bokeh").joinpath("server", "static", "js")
    return {name: packed(static.joinpath(f"{name}.min.js").read_bytes()) for name in ("bokeh", "bokeh-api")}
