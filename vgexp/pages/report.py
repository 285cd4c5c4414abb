"""The report: one HTML file with the figures, tables and claims of a results folder.

It works offline and escapes what it shows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from vgexp.figures import Picture, Table, draw_all, save
from vgexp.pages.facts import facts
from vgexp.pages.packing import Numbers, packed, packed_json
from vgexp.pages.sections import asked, claim_entries, fit_rows, interval, number, origins, status_counts
from vgexp.results import Results, read, write_atomically

SCRIPTS = ("unpack", "charts", "tables", "explorer")


def write_report(
    folder: Path,
    results: Results | None = None,
    title: str = "",
    intro: str = "",
    pictures: Mapping[str, Picture | str] | None = None,
    claims: pd.DataFrame | None = None,
    tables: Mapping[str, Table] | None = None,
    grids: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Writes figures/ and report.html of a results folder; returns the path of the page.

    Without `pictures` it draws whatever the results can fill. A string in place of a picture says why there is none.
    `grids` are those that a claim reads, by its name.
    """
    results = results or read(folder)
    drawn = dict(pictures or draw_all(results))
    shown = [_shown(name, picture, folder / "figures") for name, picture in drawn.items()]
    page = render(folder, results, title or str(folder), intro, shown, claims, tables or {}, grids or {})
    write_atomically(folder / "report.html", page.encode())
    return folder / "report.html"


def render(
    folder: Path,
    results: Results,
    title: str,
    intro: str,
    pictures: Sequence[tuple[str, Markup, str]],
    claims: pd.DataFrame | None,
    tables: Mapping[str, Table],
    grids: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The page as text; `pictures` are names, SVGs and captions, `grids` those of each claim."""
    fits, carried = fit_rows(results), Numbers()
    described = packed_json(facts(results, carried))
    environment = Environment(loader=PackageLoader("vgexp.pages", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"number": number, "interval": interval}
    return environment.get_template("report.html.j2").render(
        title=title,
        intro=intro,
        asked=asked(results),
        folder=folder,
        css=Markup(_text("page.css")),
        script=Markup("\n".join(_text(f"scripts/{name}.js") for name in SCRIPTS)),
        packed={"facts": described, "numbers": carried.packed()} | _bokeh(),
        pictures=pictures,
        tables=tables,
        claims=[] if claims is None else claim_entries(claims, [name for name, _, _ in pictures], folder, grids or {}),
        verdicts={} if claims is None else claims.drop_duplicates("claim")["verdict"].value_counts().to_dict(),
        fits=fits,
        gradients=dict(Counter(row["verdict"] for row in fits)),
        statuses=status_counts(results),
        diverged=int(results.runs["diverged_at"].notna().sum()),
        commands=results.commands,
        origins=origins(results),
        damaged=results.damaged,
    )


def _shown(name: str, picture: Picture | str, folder: Path) -> tuple[str, Markup, str]:
    """Saves a picture; its name, its SVG to stand within the page, and its caption."""
    if isinstance(picture, str):
        return name, Markup(), picture
    text = save(picture.figure, folder, name)
    return name, Markup(text[text.index("<svg") :]), picture.caption


def _text(name: str) -> str:
    return files("vgexp.pages").joinpath(name).read_text()


@cache
def _bokeh() -> dict[str, str]:
    """Bokeh's code, which the page carries: BSD-3-Clause, its authors are named in it."""
    static = files("bokeh").joinpath("server", "static", "js")
    return {name: packed(static.joinpath(f"{name}.min.js").read_bytes()) for name in ("bokeh", "bokeh-api")}
