"""Heat maps: one quantity by layer and step."""

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vgexp.figures.pictures import GROUPS_SHOWN, Picture, left_out
from vgexp.figures.profiles import gradient_column
from vgexp.figures.recorded import Recorded, hidden, overview, positive, recorded
from vgexp.figures.style import label_panel, step_axis, tiles
from vgexp.results import Results, label
from vgexp.results.grouping import rows_of


def heatmap_picture(results: Results, quantity: str | None = None) -> Picture:
    """One quantity by layer and step, a panel a group (its first seed); by default the gradient.

    Raises Missing where nothing of this was recorded.
    """
    quantity = quantity or gradient_column(results)
    some, looked_at = overview(results, GROUPS_SHOWN)
    frame, found = _frame(some, quantity)
    return Picture(
        draw_heatmaps(frame),
        f"By layer and step: {label(quantity)}, on one logarithmic color scale (1 seed a panel"
        f"{left_out(len(found.groups))}).{found.note}{looked_at}",
        frame,
    )


def heatmap_frame(results: Results, quantity: str) -> pd.DataFrame:
    """`group run seed step layer part quantity value groups`: a row a cell, of a layer's last matrix.

    `groups`: how many there are, of which the first have a panel.
    """
    return _frame(results, quantity)[0]


def _frame(results: Results, quantity: str) -> tuple[pd.DataFrame, Recorded]:
    found = recorded(results, positive(hidden(results, quantity), quantity), f"{label(quantity)} above 0")
    parts, of = [], rows_of(found.rows)
    for name, runs in list(found.groups.items())[:GROUPS_SHOWN]:
        run = runs.sort_values("seed").iloc[0]
        rows = of([run["run"]]).assign(group=name, seed=run["seed"], quantity=quantity)
        parts.append(rows.rename(columns={quantity: "value"}))
    columns = ["group", "run", "seed", "step", "layer", "part", "quantity", "value"]
    return pd.concat(parts, ignore_index=True)[columns].assign(groups=len(found.groups)), found


def draw_heatmaps(frame: pd.DataFrame) -> Figure:
    """A panel a group, one color scale for all."""
    norm = LogNorm(frame["value"].min(), frame["value"].max())
    with tiles(frame["group"].nunique(), frame["groups"].iloc[0]) as (figure, axes):
        for ax, (name, rows) in zip(axes, frame.groupby("group", sort=False), strict=True):
            shift = step_axis(ax, np.unique(frame["step"]))
            cells = rows.pivot(index="layer", columns="step", values="value")
            cells = cells.reindex(range(1, cells.index.max() + 1))
            steps = cells.columns.to_numpy()
            at = steps + shift
            edges = _cell_edges(at, ax.get_xscale() == "log")
            layers = np.arange(len(cells) + 1) + 0.5
            ax.pcolormesh(edges, layers, cells.to_numpy(), norm=norm, cmap="viridis", rasterized=True)
            label_panel(ax, str(name))
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].set_ylabel("layer")
        figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label=label(frame["quantity"].iloc[0]))
    return figure


def _cell_edges(at: np.ndarray, log: bool) -> np.ndarray:
    """Edges of cells around their positions."""
    x = np.log(at) if log else at.astype(float)
    if len(x) == 1:
        edges = np.array([x[0] - 0.5, x[0] + 0.5])
    else:
        edges = np.concatenate([[x[0]], (x[1:] + x[:-1]) / 2, [x[-1]]])
    return np.exp(edges) if log else edges
