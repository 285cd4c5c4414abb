"""The report: one HTML file with the figures, tables and claims of a results folder.

It works offline and escapes what it shows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from vgexp.figures import Picture, Table, draw_all, save
from vgexp.pages.sections import claim_entries, fit_rows, interval, number, origins, status_counts
from vgexp.results import Results, read, write_atomically


def write_report(
    folder: Path,
    results: Results | None = None,
    title: str = "",
    intro: str = "",
    pictures: Mapping[str, Picture | str] | None = None,
    claims: pd.DataFrame | None = None,
    tables: Mapping[str, Table] | None = None,
) -> Path:
    """Writes figures/ and report.html of a results folder; returns the path of the page.

    Without `pictures` it draws whatever the results can fill. A string in place of a picture says why there is none.
    """
    results = results or read(folder)
    drawn = dict(pictures or draw_all(results))
    shown = [_shown(name, picture, folder / "figures") for name, picture in drawn.items()]
    page = render(folder, results, title or str(folder), intro, shown, claims, tables or {})
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
) -> str:
    """The page as text; `pictures` are names, SVGs and captions."""
    environment = Environment(loader=PackageLoader("vgexp.pages", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"number": number, "interval": interval}
    return environment.get_template("report.html.j2").render(
        title=title,
        intro=intro,
        folder=folder,
        pictures=pictures,
        tables=tables,
        claims=[] if claims is None else claim_entries(claims),
        verdicts={} if claims is None else claims.drop_duplicates("claim")["verdict"].value_counts().to_dict(),
        fits=fit_rows(results),
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
