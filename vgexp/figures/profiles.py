"""Profiles: activations and gradients over the layers, at one step, against mean-field theory."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vgexp.config import ConfigError, counted, from_row, validate
from vgexp.data import DATASETS, Unavailable
from vgexp.figures.looks import arrange
from vgexp.figures.pictures import Picture, seeds_in
from vgexp.figures.recorded import Recorded, hidden, of_hidden, positive, recorded
from vgexp.figures.series import draw_group, draw_key
from vgexp.figures.style import layer_axis, log_if_decades, rows_of_panels
from vgexp.networks import FAMILIES
from vgexp.networks.identity import identity
from vgexp.results import Results, by_depth, geometric_mean, label
from vgexp.results.grouping import rows_of
from vgexp.results.tables import INITIAL
from vgexp.theory import NoTheory, covers
from vgexp.theory.expected import expected

_THEORIES: dict[str, pd.DataFrame] = {}
"""By run: the figures and the page of one folder ask for the same theories."""
SMALL_MARKS = 15
"""Layers beyond which marks get smaller."""


def profile_picture(results: Results, step: int = 0, color: str | None = None, facet: str | None = None) -> Picture:
    """h, the gradient and dW over depth at one step, all runs in one picture, theory as lines.

    `color`, `facet`: fields to tell groups apart by; a value of `facet` has a row of panels of its own. Raises Missing
    where nothing of this was recorded.
    """
    frame, found = _profiles(results, step)
    return Picture(
        draw_profiles(frame, color, facet),
        f"Profiles over depth at step {step}. Points: geometric means over seeds with 95 % intervals "
        f"({seeds_in(frame)}). "
        + ("Lines: mean-field theory, for activations and gradients. " if frame["theory"].notna().any() else "")
        + f"Gradients vanish where they fall towards layer 1.{found.note}",
        frame,
    )


def profile_frame(results: Results, step: int = 0) -> pd.DataFrame:
    """`group depth step layer part quantity value low high seeds theory`: a row a layer, of its last matrix.

    Quantities are h_std, the gradient that shows what happens in these families, and dw_rms. Theory is that of step 0.
    """
    return _profiles(results, step)[0]


def _profiles(results: Results, step: int) -> tuple[pd.DataFrame, Recorded]:
    signal = gradient_column(results)
    rows = of_hidden(results, results.initial) if step == 0 else hidden(results, *INITIAL, steps=[step])
    there = positive(rows, *INITIAL)
    marks = 3 * max(map(int, results.runs["model.depth"]), default=1)
    found = recorded(results, there, f"numbers above 0 at step {step}", besides="model.depth", marks=marks)
    zeros = rows.loc[rows[[column for column in INITIAL if column in rows]].eq(0).any(axis=1), "run"].nunique()
    if zeros:
        note = f"{found.note} Zeros of {counted(zeros, 'run')} are left out, also of the means."
        found = found._replace(note=note)
    rows, of = [], rows_of(found.rows)
    for name, runs in found.groups.items():
        for depth, members in by_depth(runs):
            mine = of(members["run"])
            theory = theory_of(members) if step == 0 else pd.DataFrame()
            of_layer = mine.groupby("layer").indices
            for quantity in ("h_std", signal if mine[signal].notna().any() else "dz_rms", "dw_rms"):
                numbers = mine[quantity].to_numpy()
                for layer, places in of_layer.items():
                    values = numbers[places]
                    mean = geometric_mean(values[values > 0])
                    predicted = theory[quantity].get(layer, np.nan) if quantity in theory else np.nan
                    rows.append((name, depth, step, layer, "", quantity, *mean, predicted))
    columns = ["group", "depth", "step", "layer", "part", "quantity", "value", "low", "high", "seeds", "theory"]
    frame = pd.DataFrame(rows, columns=columns).dropna(subset=["value", "theory"], how="all", ignore_index=True)
    return found.described(frame), found


def draw_profiles(frame: pd.DataFrame, color: str | None = None, facet: str | None = None) -> Figure:
    """Three panels: activations, gradients, weight gradients; a row of them for each value that facets go by."""
    arranged = arrange(frame, ("group", "depth"), color, facet)
    with rows_of_panels(len(arranged.facets), 3, sharex=True) as (figure, axes):
        for column, quantities in zip(axes.T, (["h_std"], ["dz_rms", "dx_rms"], ["dw_rms"]), strict=True):
            shown = frame[frame["quantity"].isin(quantities)]
            for series, rows in arranged.of(shown):
                size = 4 if len(rows) <= SMALL_MARKS else 2.5
                draw_group(column[series.facet], rows, "layer", series.look, "_", markersize=size)
            layer_axis(column[-1])
            log_if_decades(*column)
            for ax in column:
                ax.set_ylabel("\n".join(label(quantity) for quantity in shown["quantity"].unique()))
        draw_key(figure, list(axes[:, 0]), arranged)
    return figure


def signals() -> Mapping[str, str]:
    """The column that shows what happens to the gradient, by family; dz_rms for one that is not known here."""
    return defaultdict(lambda: "dz_rms", {name: f"{family.signal}_rms" for name, family in FAMILIES.items()})


def gradient_column(results: Results) -> str:
    """The gradient to show for these runs: dx_rms where one of their families asks for it, else dz_rms."""
    columns = {signals()[family] for family in results.runs["model.family"].unique()}
    return "dx_rms" if "dx_rms" in columns else "dz_rms"


def theory_of(runs: pd.DataFrame) -> pd.DataFrame:
    """The predicted profile of the first seed, by layer; empty where there is no theory, or not its examples."""
    first = runs.sort_values("seed").iloc[0]
    run = from_row({str(key): value for key, value in first.items()})
    if not covers(run) or run.data.name not in DATASETS:
        return pd.DataFrame()
    try:
        validate(run, {})
    except ConfigError:  # a table that was not written by this version
        return pd.DataFrame()
    run = replace(run, steps=0, optim=type(run.optim)())  # what comes after initialisation does not matter
    asked = identity(run)
    if asked not in _THEORIES:
        try:
            _THEORIES[asked] = expected(run)
        except (NoTheory, Unavailable):
            _THEORIES[asked] = pd.DataFrame({"part": [], "layer": []})
    found = _THEORIES[asked]
    return found[found["part"] == ""].set_index("layer")
