"""Speeds: how fast each layer learns, relative to its weights."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vgexp.figures.pictures import GROUPS_SHOWN, Picture, left_out
from vgexp.figures.recorded import Recorded, overview, positive, recorded
from vgexp.figures.style import label_panel, layer_color, legend, log_if_decades, step_axis, tiles
from vgexp.results import TABLES, Results, label
from vgexp.results.grouping import rows_of


def speed_picture(results: Results) -> Picture:
    """rms(update) / rms(W) of each layer over training: a panel a group, a color a layer.

    Raises Missing where nothing of this was recorded.
    """
    some, looked_at = overview(results, GROUPS_SHOWN)
    frame, found = _frame(some)
    return Picture(
        draw_speeds(frame),
        "Relative speed of each layer, rms of the update over rms of the weights (geometric mean over seeds"
        f"{left_out(len(found.groups))}). Where the lines lie apart, parts of the network learn at different "
        f"speeds.{found.note}{looked_at}",
        frame,
    )


def speed_frame(results: Results) -> pd.DataFrame:
    """`group depth step layer part quantity value seeds groups`: a row a layer and step, the readout too.

    `groups`: how many there are, of which the first have a panel.
    """
    return _frame(results)[0]


def _frame(results: Results) -> tuple[pd.DataFrame, Recorded]:
    rows = results.table("layers", [*TABLES["layers"].key, "update_ratio"])
    there = recorded(results, positive(rows[rows["part"] == ""], "update_ratio"), "updates")
    parts, of = [], rows_of(there.rows)
    for name, runs in list(there.groups.items())[:GROUPS_SHOWN]:
        rows = of(runs["run"])
        logs = rows.assign(log=np.log(rows["update_ratio"])).groupby(["layer", "step"])["log"]
        found = logs.agg(value="mean", seeds="size").reset_index()
        found["value"] = np.exp(found["value"])
        parts.append(found.assign(group=name, depth=int(runs["model.depth"].iloc[0]), part="", quantity="update_ratio"))
    columns = ["group", "depth", "step", "layer", "part", "quantity", "value", "seeds"]
    return pd.concat(parts, ignore_index=True)[columns].assign(groups=len(there.groups)), there


def draw_speeds(frame: pd.DataFrame) -> Figure:
    """A panel a group: hidden layers dark to light, the readout dashed."""
    with tiles(frame["group"].nunique(), frame["groups"].iloc[0]) as (figure, axes):
        for ax, (name, rows) in zip(axes, frame.groupby("group", sort=False), strict=True):
            depth = int(rows["depth"].iloc[0])
            shift = step_axis(ax, np.unique(frame["step"]))
            for _, line in rows.groupby("layer"):
                layer = int(line["layer"].iloc[0])
                readout = layer > depth
                color = "0.5" if readout else layer_color(layer, depth)
                text = "readout" if readout else {1: "layer 1", depth: "last hidden layer"}.get(layer, "_")
                style = "--" if readout else "-"
                ax.plot(line["step"] + shift, line["value"], color=color, label=text, linestyle=style)
            log_if_decades(ax)
            label_panel(ax, str(name))
        axes[0].set_ylabel(label("update_ratio"))
        legend(figure, axes[0])
    return figure
