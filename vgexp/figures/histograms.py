"""Histograms: how activations and gradients are distributed, layer by layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vgexp.claims import Missing
from vgexp.figures.pictures import GROUPS_SHOWN, Picture, left_out
from vgexp.figures.style import label_panel, layer_color, panels
from vgexp.results import Results, groups, label

COLUMNS = ["group", "run", "seed", "step", "depth", "layer", "part", "quantity", "left", "right", "density"]
DEVIATIONS = 3.5
"""Standard deviations around 0 of the widest layer that a panel shows."""


def histogram_picture(results: Results, quantity: str, step: int | None = None, names: Sequence[str] = ()) -> Picture:
    """Densities by layer at one step, by default the first that has any: a panel a group (first seed)."""
    if results.histograms.empty:
        raise Missing("no histograms were recorded")
    step = int(results.histograms["step"].min()) if step is None else step
    frame = histogram_frame(results, quantity, step, names)
    if frame.empty:
        raise Missing(f"no histograms of {quantity} were recorded at step {step}")
    return Picture(
        draw_histograms(frame),
        f"Densities of the {label(quantity)} by layer at step {step} (1 seed, the examples that were observed"
        f"{'' if names else left_out(len(first_runs(results, step)))}).",
        frame,
    )


def histogram_frame(results: Results, quantity: str, step: int, names: Sequence[str] = ()) -> pd.DataFrame:
    """`group run seed step depth layer part quantity left right density`: a row a bin, of a layer's last matrix."""
    found = first_runs(results, step)
    chosen = names or list(found)[:GROUPS_SHOWN]
    parts = [bins(results, found[name], quantity, step).assign(group=name) for name in chosen]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def first_runs(results: Results, step: int) -> dict[str, pd.Series]:
    """The first seed of every group, its row of the runs table, where it has histograms at this step."""
    recorded = set(results.histograms.loc[results.histograms["step"] == step, "run"])
    firsts = {name: runs.sort_values("seed").iloc[0] for name, runs in groups(results.runs).items()}
    return {name: run for name, run in firsts.items() if run["run"] in recorded}


def bins(results: Results, run: pd.Series, quantity: str, step: int) -> pd.DataFrame:
    """The bins of one run's hidden layers, `run` being its row of the runs table."""
    rows = results.histograms
    rows = rows[(rows["run"] == run["run"]) & (rows["quantity"] == quantity) & (rows["step"] == step)]
    rows = rows[(rows["layer"] <= run["model.depth"]) & (rows["part"] == "")]
    rows = rows.assign(left=rows["edges"].map(lambda x: x[:-1]), right=rows["edges"].map(lambda x: x[1:]))
    rows = rows.explode(["left", "right", "density"], ignore_index=True).astype(
        {"left": float, "right": float, "density": float}
    )
    return rows.assign(seed=run["seed"], depth=int(run["model.depth"])).drop(columns="edges")


def draw_histograms(frame: pd.DataFrame) -> Figure:
    """Panels one above the other, a group each."""
    shown = frame.groupby("group", sort=False)
    with panels(len(shown), 1, sharex=True, size=(3.4, 1.7 * len(shown) + 0.4)) as (figure, axes):
        for ax, (name, rows) in zip(axes[:, 0], shown, strict=True):
            draw_densities(ax, rows)
            ax.set_ylim(bottom=0)
            label_panel(ax, str(name))
            span = _span(rows)
            if span > 0:
                ax.set_xlim(-span, span)
        axes[-1, 0].set_xlabel(label(frame["quantity"].iloc[0]))
        axes[0, 0].legend()
    return figure


def draw_densities(ax: Axes, rows: pd.DataFrame) -> None:
    """The densities of one run, a line a layer."""
    for _, line in rows.groupby("layer"):
        layer = int(line["layer"].iloc[0])
        color = layer_color(layer, int(line["depth"].iloc[0]))
        ax.plot((line["left"] + line["right"]) / 2, line["density"], color=color, label=f"layer {layer}")
    ax.set_ylabel("density")


def _span(rows: pd.DataFrame) -> float:
    """Half-width that holds nearly all of the widest layer's mass."""
    mass = rows["density"] * (rows["right"] - rows["left"])
    second = (mass * ((rows["left"] + rows["right"]) / 2) ** 2).groupby(rows["layer"]).sum(skipna=False)
    second = second[np.isfinite(second)]
    return DEVIATIONS * float(np.sqrt(second.max())) if len(second) else 0.0
