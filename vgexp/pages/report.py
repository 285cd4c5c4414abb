"""The report: one HTML file with figures, tables and verdicts, which works offline and escapes what it
shows."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from vgexp.figures import Picture, Table, draw_all, save, signals
from vgexp.results import Estimate, Results, fits, read, write_atomically

VERDICT_ORDER = ("refuted", "not measured", "holds")


def write(
    folder: Path,
    results: Results | None = None,
    title: str = "",
    intro: str = "",
    pictures: Mapping[str, Picture | str] | None = None,
    claims: pd.DataFrame | None = None,
    tables: Mapping[str, Table] | None = None,
) -> Path:
    """Writes figures/ and report.html of a results folder; the path of the page.

    Without `pictures` it draws whatever the results can fill; a string stands for one that could not be drawn.
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
    tables: Mapping[str, Table] | None = None,
) -> str:
    """The page as text; `pictures` are names, SVGs and captions."""
    environment = Environment(loader=PackageLoader("vgexp.pages", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"number": number, "interval": interval}
    table = fits(results.runs, results.layers, signals()) if not results.layers.empty else pd.DataFrame()
    return environment.get_template("report.html.j2").render(
        title=title,
        intro=intro,
        folder=folder,
        pictures=pictures,
        tables=[
            (name, list(table.rows), table.rows.to_numpy().tolist(), table.caption)
            for name, table in (tables or {}).items()
        ],
        claims=claim_rows(claims) if claims is not None else [],
        counts={} if claims is None else claims.drop_duplicates("claim")["verdict"].value_counts().to_dict(),
        fits=table.to_dict("records"),
        states=states(results),
        diverged=int(results.runs["diverged_at"].notna().sum()) if "diverged_at" in results.runs else 0,
        commands=results.commands,
        provenance=provenance_rows(results),
        damaged=results.damaged,
    )


def claim_rows(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """One entry a claim with its parts, refuted ones first."""
    entries = []
    for _, parts in claims.groupby("claim", sort=False):
        first = parts.iloc[0]
        surprising = first["verdict"] in ("holds", "refuted") and first["verdict"] != first["expected_verdict"]
        entries.append(
            {key: first[key] for key in ("claim", "statement", "source", "verdict", "reason")}
            | {"parts": parts.to_dict("records"), "surprising": surprising}
        )
    return sorted(entries, key=lambda entry: VERDICT_ORDER.index(entry["verdict"]))


def states(results: Results) -> dict[str, int]:
    """How many runs are done, running, failed and missing."""
    counts = results.runs["status"].value_counts().to_dict() if not results.runs.empty else {}
    counts["missing"] = len(set(results.planned) - set(results.runs["run"]))
    return {name: counts[name] for name in ("done", "running", "failed", "missing") if counts.get(name)}


def provenance_rows(results: Results) -> list[dict[str, Any]]:
    """The distinct origins of the runs."""
    columns = [c for c in ("git_sha", "git_dirty", "vgexp", "torch", "python", "device") if c in results.runs]
    rows = results.runs[columns].drop_duplicates()
    return [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]


def _shown(name: str, picture: Picture | str, folder: Path) -> tuple[str, Markup, str]:
    """Saves a picture; its name, inline SVG and caption."""
    if isinstance(picture, str):
        return name, Markup(), picture
    text = save(picture.figure, folder, name)
    return name, Markup(text[text.index("<svg") :]), picture.caption


def number(value: Any) -> str:
    """A number as a person reads it; empty for NaN."""
    if not isinstance(value, (int, float)) or math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def interval(value: Estimate) -> str:
    return f"{value}" if not math.isnan(value.point) else "–"
