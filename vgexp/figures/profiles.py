"""Profiles: activations and gradients over the layers, at one step, against mean-field theory."""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vgexp.config import from_row
from vgexp.data import DATASETS, Unavailable
from vgexp.figures.pictures import Picture, seeds_in
from vgexp.figures.recorded import Recorded, hidden, positive, recorded
from vgexp.figures.series import draw_group
from vgexp.figures.style import layer_axis, legend, log_if_decades, panels
from vgexp.networks import FAMILIES
from vgexp.networks.identity import identity
from vgexp.results import Results, by_depth, geometric_mean, label
from vgexp.theory import NoTheory, covers
from vgexp.theory.expected import expected

QUANTITIES = ("h_std", "dz_rms", "dx_rms", "dw_rms")
_THEORIES: dict[str, pd.DataFrame] = {}
"""By run: the figures and the page of one folder ask for the same theories."""
SMALL_MARKS = 15
"""Layers beyond which marks get smaller."""


def profile_picture(results: Results, step: int = 0) -> Picture:
    """h, the gradient and dW over depth at one step, all runs in one picture, theory as lines."""
    frame, found = profile_frame(results, step), _recorded(results, step)
    return Picture(
        draw_profiles(frame),
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
    signal = gradient_column(results)
    found = _recorded(results, step)
    rows = []
    for name, runs in found.groups.items():
        for depth, members in by_depth(runs):
            mine = found.rows[found.rows["run"].isin(members["run"])]
            theory = theory_of(members) if step == 0 else pd.DataFrame()
            for quantity in ("h_std", signal if mine[signal].notna().any() else "dz_rms", "dw_rms"):
                for layer, values in mine.groupby("layer")[quantity]:
                    mean = geometric_mean(values[values > 0].to_numpy())
                    predicted = theory[quantity].get(layer, np.nan) if quantity in theory else np.nan
                    rows.append((name, depth, step, layer, "", quantity, *mean, predicted))
    columns = ["group", "depth", "step", "layer", "part", "quantity", "value", "low", "high", "seeds", "theory"]
    return pd.DataFrame(rows, columns=columns).dropna(subset=["value", "theory"], how="all", ignore_index=True)


def _recorded(results: Results, step: int) -> Recorded:
    rows = hidden(results)
    rows = positive(rows[rows["step"] == step], *QUANTITIES)
    return recorded(results, rows, f"numbers above 0 at step {step}", besides="model.depth")


def draw_profiles(frame: pd.DataFrame) -> Figure:
    """Three panels: activations, gradients, weight gradients."""
    numbers = {name: number for number, name in enumerate(frame["group"].unique())}
    with panels(1, 3) as (figure, axes):
        for ax, quantities in zip(axes[0], (["h_std"], ["dz_rms", "dx_rms"], ["dw_rms"]), strict=True):
            shown = frame[frame["quantity"].isin(quantities)]
            for name, of_group in shown.groupby("group", sort=False):
                for position, (_, rows) in enumerate(of_group.groupby("depth")):
                    size = 4 if len(rows) <= SMALL_MARKS else 2.5
                    text = str(name) if position == 0 else "_"  # one legend entry a group
                    draw_group(ax, rows, "layer", numbers[name], text, markersize=size)
            layer_axis(ax)
            log_if_decades(ax)
            ax.set_ylabel("\n".join(label(quantity) for quantity in shown["quantity"].unique()))
        legend(figure, axes[0, 0])
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
    asked = identity(run)
    if asked not in _THEORIES:
        try:
            _THEORIES[asked] = expected(run)
        except (NoTheory, Unavailable):
            _THEORIES[asked] = pd.DataFrame({"part": [], "layer": []})
    found = _THEORIES[asked]
    return found[found["part"] == ""].set_index("layer")
