"""Histograms: how activations and gradients are distributed, layer by layer."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vgexp.claims import Missing
from vgexp.figures.pictures import GROUPS_SHOWN, Picture, left_out
from vgexp.figures.recorded import Recorded, hidden, recorded
from vgexp.figures.style import label_panel, layer_color, panels
from vgexp.results import Results, label

COLUMNS = ["group", "run", "seed", "step", "depth", "layer", "part", "quantity", "left", "right", "density"]
DEVIATIONS = 3.5
"""Standard deviations around 0 of the widest layer that a panel shows."""


def histogram_picture(results: Results, quantity: str, step: int | None = None, names: Sequence[str] = ()) -> Picture:
    """Densities by layer at one step, by default the first that has any: a panel a group (first seed)."""
    found = _recorded(results, quantity, step)
    step = int(found.rows["step"].iloc[0])
    frame = histogram_frame(results, quantity, step, names)
    return Picture(
        draw_histograms(frame),
        f"Densities of the {label(quantity)} by layer at step {step} (1 seed, the examples that were observed"
        f"{'' if names else left_out(len(found.groups))}).{found.note}",
        frame,
    )


def histogram_frame(results: Results, quantity: str, step: int, names: Sequence[str] = ()) -> pd.DataFrame:
    """`group run seed step depth layer part quantity left right density`: a row a bin, of a layer's last matrix.

    Of the groups that are named, by default of the first that there are: the first seed that has any.
    """
    found = _recorded(results, quantity, step)
    chosen = [name for name in names or list(found.groups)[:GROUPS_SHOWN] if name in found.groups]
    if not chosen:
        raise Missing(f"no densities of {label(quantity)} of {' or '.join(names)}")
    firsts = {name: found.groups[name].sort_values("seed").iloc[0] for name in chosen}
    parts = [bins(found.rows, run).assign(group=name) for name, run in firsts.items()]
    return pd.concat(parts, ignore_index=True)[COLUMNS]


def _recorded(results: Results, quantity: str, step: int | None) -> Recorded:
    """The histograms of a quantity in the hidden layers at one step, by default at the first."""
    rows = densities(results, quantity)
    step = rows["step"].min() if step is None else step
    at = "" if pd.isna(step) else f" at step {step}"
    return recorded(results, rows[rows["step"] == step], f"densities of {label(quantity)}{at}")


def densities(results: Results, quantity: str) -> pd.DataFrame:
    """The histograms of a quantity in the hidden layers; those of tensors that were not finite, or constant, left
    out."""
    rows = hidden(results, results.histograms)
    rows = rows[rows["quantity"] == quantity].dropna(subset=["edges", "density"])
    return rows[rows["density"].map(lambda density: bool(np.isfinite(density).any())).astype(bool)]


def bins(rows: pd.DataFrame, run: pd.Series) -> pd.DataFrame:
    """The bins of the histograms of one run, `run` being its row of the runs table."""
    rows = rows[rows["run"] == run["run"]]
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
    second = (
        (mass * ((rows["left"] + rows["right"]) / 2) ** 2)
        .groupby(rows["layer"])
        .agg(lambda moments: moments.to_numpy().sum())
    )
    second = second[np.isfinite(second)]
    return DEVIATIONS * float(np.sqrt(second.max())) if len(second) else 0.0
