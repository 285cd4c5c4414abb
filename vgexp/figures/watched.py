"""A watched model: gradient, preactivation, weight gradient and update over its calls."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vgexp.figures.pictures import Picture
from vgexp.figures.style import layer_axis, layer_color, legend, log_if_decades, panels
from vgexp.results import label

STEPS_SHOWN = 6
"""Recorded steps that get a line, evenly chosen from however many there are."""
QUANTITIES = ("dz_rms", "z_rms", "dw_rms", "update_ratio")
"""What gets a panel; the last, where an optimizer was watched too."""


def watched_picture(recorded: pd.DataFrame) -> Picture:
    """Gradient, preactivation, weight gradient and, where it was measured, the update of a watched model over depth, a
    line a recorded step."""
    frame = watched_frame(recorded)
    return Picture(
        draw_watched(frame),
        "Root mean square of the gradient dz, of the preactivation z, of the weight gradient dW and, where it was "
        "measured, of the update over that of the weights, over the layers of the model in the order in which they "
        "run, one line a recorded step; one run. Where a value is exactly 0 there is no point.",
        frame,
    )


def watched_frame(recorded: pd.DataFrame) -> pd.DataFrame:
    """`step layer name call quantity value`: a row a call of a layer, from a monitor's frame."""
    steps = sorted(recorded["step"].unique())
    shown = [steps[i] for i in sorted({round(i) for i in np.linspace(0, len(steps) - 1, min(STEPS_SHOWN, len(steps)))})]
    rows = recorded[recorded["step"].isin(shown)]
    long = rows.melt(["step", "layer", "name", "call"], QUANTITIES, "quantity")
    return long[(long["value"] > 0) & np.isfinite(long["value"])].reset_index(drop=True)


def draw_watched(frame: pd.DataFrame) -> Figure:
    """A panel a quantity; early steps dark, late ones light."""
    steps = sorted(frame["step"].unique())
    updated = bool((frame["quantity"] == QUANTITIES[-1]).any())
    drawn = QUANTITIES if updated else QUANTITIES[:-1]
    with panels(1, len(drawn)) as (figure, axes):
        for ax, quantity in zip(axes[0], drawn, strict=True):
            for number, step in enumerate(steps, start=1):
                rows = frame[(frame["step"] == step) & (frame["quantity"] == quantity)]
                color = layer_color(number, len(steps))
                ax.plot(rows["layer"], rows["value"], marker="o", markersize=2.5, color=color, label=f"step {step}")
            ax.set_ylabel(label(quantity))
            log_if_decades(ax)
            layer_axis(ax)
            ax.set_xlabel("call, in the order of execution")
        legend(figure, axes[0, 0], columns=STEPS_SHOWN)
    return figure
