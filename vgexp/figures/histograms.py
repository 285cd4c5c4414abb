"""Histograms: how activations and gradients are distributed, layer by layer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vgexp.claims import Missing
from vgexp.figures.pictures import GROUPS_SHOWN, Picture, left_out
from vgexp.figures.recorded import Recorded, hidden, recorded
from vgexp.figures.style import label_panel, layer_color, legend, panels, tiles
from vgexp.results import Results, label

COLUMNS = ["group", "run", "seed", "step", "depth", "layer", "part", "quantity", "left", "right", "density"]
STACKED = 3
"""Panels that stand one above the other; more stand in rows."""
LAYERS = 8
"""Layers that a legend names one by one."""
DEVIATIONS = 3.5
"""Standard deviations around 0 of the widest layer that the panels show."""


def histogram_picture(results: Results, quantity: str, step: int | None = None, names: Sequence[str] = ()) -> Picture:
    """Densities by layer at one step, by default the first that has any: a panel a group (first seed).

    Raises Missing where nothing of this was recorded.
    """
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
    return pd.concat(parts, ignore_index=True)[COLUMNS].assign(groups=len(names) or len(found.groups))


def _recorded(results: Results, quantity: str, step: int | None) -> Recorded:
    """The histograms of a quantity in the hidden layers at one step, by default at the first."""
    rows = densities(results, quantity)
    step = rows["step"].min() if step is None else step
    at = "" if pd.isna(step) else f" at step {step}"
    return recorded(results, rows[rows["step"] == step], f"densities of {label(quantity)}{at}")


def densities(results: Results, quantity: str) -> pd.DataFrame:
    """The histograms of a quantity in the hidden layers; those of tensors that were not finite, or constant, left
    out."""
    rows = hidden(results, "quantity", "edges", "density", table="histograms")
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
    """A panel a group, up to `STACKED` one above the other, all with the axis that the widest asks for."""
    shown = frame.groupby("group", sort=False)
    with _panels(len(shown), int(frame["groups"].iloc[0])) as (figure, axes):
        for ax, (name, rows) in zip(axes, shown, strict=True):
            draw_densities(ax, rows)
            ax.set_ylim(bottom=0)
            label_panel(ax, str(name))
            if len(shown) > STACKED:  # a density integrates to 1: its height needs no numbers
                ax.set_yticks([])
                ax.set_ylabel("")
        span = max(_span(rows) for _, rows in shown)
        if span > 0:
            axes[0].set_xlim(-span, span)
        if len(shown) > STACKED:
            axes[0].set_ylabel("density")
            figure.supxlabel(label(frame["quantity"].iloc[0]), size=8)
        else:
            axes[-1].set_xlabel(label(frame["quantity"].iloc[0]))
        deepest = frame["depth"].max()
        if len(shown) <= STACKED and deepest <= LAYERS:
            axes[0].legend()
        else:
            depths = [rows["depth"].iloc[0] for _, rows in shown]
            legend(figure, axes[depths.index(deepest)], LAYERS)
    return figure


@contextmanager
def _panels(count: int, there: int) -> Iterator[tuple[Figure, list[Axes]]]:
    """A few panels one above the other, or tiles."""
    if count > STACKED:
        with tiles(count, there, sharex=True, sharey=False) as found:
            yield found
    else:
        with panels(count, 1, sharex=True, size=(3.4, 1.7 * count + 0.4)) as (figure, axes):
            yield figure, list(axes[:, 0])


def draw_densities(ax: Axes, rows: pd.DataFrame) -> None:
    """The densities of one run, a line a layer; of a deep network the legend names five of them."""
    for _, line in rows.groupby("layer"):
        layer, depth = int(line["layer"].iloc[0]), int(line["depth"].iloc[0])
        named = depth <= LAYERS or layer in np.linspace(1, depth, 5).round()
        text = f"layer {layer}" if named else "_"
        ax.plot((line["left"] + line["right"]) / 2, line["density"], color=layer_color(layer, depth), label=text)
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
