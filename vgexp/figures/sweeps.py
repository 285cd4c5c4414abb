"""The figures of a sweep: whatever its results can fill, or what a person asks for."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from vgexp.claims import Missing
from vgexp.config import ConfigError
from vgexp.figures.agreement import agreement_picture
from vgexp.figures.curves import curve_picture
from vgexp.figures.heatmaps import heatmap_picture
from vgexp.figures.histograms import histogram_picture
from vgexp.figures.phases import phase_picture
from vgexp.figures.pictures import Picture, draw_each
from vgexp.figures.profiles import profile_picture
from vgexp.figures.relations import in_short, relation_picture
from vgexp.figures.speeds import speed_picture
from vgexp.results import Results, compare

INITIAL = {"profile": profile_picture, "agreement": agreement_picture, "phases": phase_picture}
"""Figures of networks at initialisation."""
TRAINING = {"heatmap": heatmap_picture, "curves": curve_picture, "speeds": speed_picture}
"""Figures of the runs that train."""
HISTOGRAMS = {f"histogram_{quantity}": partial(histogram_picture, quantity=quantity) for quantity in ("h", "dz", "dw")}
FIGURES: Mapping[str, Callable[..., Picture]] = INITIAL | TRAINING | HISTOGRAMS


def draw_all(results: Results) -> dict[str, Picture]:
    """Every figure that the results can fill, by name."""
    return {name: picture for name, picture in _drawn(results, FIGURES).items() if isinstance(picture, Picture)}


def plot(
    source: Results | str | Path | Sequence[str | Path],
    *,
    x: str | None = None,
    y: str | None = None,
    color: str | None = None,
    facet: str | None = None,
    step: int | None = None,
    only: Sequence[str] = (),
) -> dict[str, Picture]:
    """The figures of results, of a folder, or of several folders compared, by name; in a notebook each shows itself.

    `only`: the names of the figures to draw. `color` and `facet`: fields of the config to tell groups of runs apart by,
    the first by color, the second by rows of panels. `step`: at which step. With one of these, those figures are drawn
    that heed it. `x` or `y`: in place of these figures one of a column, `y`, over another or a field, `x`.

    Raises ConfigError for a figure, field, column or step that there is not, with what there is; ResultsError for a
    folder without results.
    """
    paths = [source] if isinstance(source, str | Path) else source
    results = paths if isinstance(paths, Results) else compare(*paths)
    choices = {"color": color, "facet": facet, "step": step}
    chosen: dict[str, Any] = {name: value for name, value in choices.items() if value is not None}
    if x is not None or y is not None:
        if only:
            raise ConfigError("--only", ",".join(only), "no --x and no --y beside it: these are a figure of their own")
        try:
            picture = relation_picture(results, x, y, **chosen)
        except Missing as reason:
            raise ConfigError("--y", y or "dz_rms", f"what these results have; {reason}") from None
        return {f"{picture.frame['quantity'].iloc[0]}_over_{picture.frame['over'].iloc[0]}": picture}
    if unknown := [name for name in only if name not in FIGURES]:
        raise ConfigError("--only", unknown[0], ", ".join(FIGURES))
    if step is not None and step not in (steps := sorted(map(int, results.table("layers", ["step"])["step"].unique()))):
        raise ConfigError("--step", step, f"a step that was recorded: {in_short(steps)}")
    heeding = {name: draw for name, draw in FIGURES.items() if chosen.keys() <= signature(draw).parameters.keys()}
    if deaf := [name for name in only if name not in heeding]:
        options = " and ".join(f"--{name}" for name in chosen)
        raise ConfigError("--only", deaf[0], f"with {options} {', '.join(heeding) or 'no figure'}")
    asked = {name: partial(draw, **chosen) for name, draw in heeding.items() if not only or name in only}
    drawn = _drawn(results, asked)
    for name in only:
        if not isinstance(picture := drawn.get(name, "nothing was recorded"), Picture):
            raise ConfigError("--only", name, f"what these results can fill; {picture}")
    return {name: picture for name, picture in drawn.items() if isinstance(picture, Picture)}


def _drawn(results: Results, figures: Mapping[str, Callable[..., Picture]]) -> dict[str, Picture | str]:
    """Figures, those of training of the runs that train; in place of one that cannot be drawn, why."""
    trained = results.select(list(results.runs.loc[results.runs["steps"] > 0, "run"]))
    found = [draw_each({name: draw}, trained if name in TRAINING else results) for name, draw in figures.items()]
    return {name: picture for one in found for name, picture in one.items()}
