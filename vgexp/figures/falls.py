"""The fall of a gradient in any network: its signal over the depth below the loss."""

import pandas as pd
from matplotlib.figure import Figure

from vgexp.figures.pictures import Picture
from vgexp.figures.style import COLORS, layer_axis, log_if_decades, panels
from vgexp.results import label

NAMED = 32
"""Characters of a name that are shown at an end."""


def fall_picture(frame: pd.DataFrame) -> Picture:
    """The signal of a gradient at each depth of a network, from a frame `depth signal strongest`: the root of the sum
    of squares of the signals of the calls there, and the name of that with the largest."""
    return Picture(
        draw_fall(frame),
        "The gradient on its way from the loss (left) to the input: the norm of dz over the batch, or that of its sum "
        "over positions where that is larger, calls at one depth added as squares; one batch.",
        frame,
    )


def draw_fall(frame: pd.DataFrame) -> Figure:
    """A line over the depth, its ends named."""
    with panels(1, 1) as (figure, axes):
        ax = axes[0, 0]
        ax.plot(frame["depth"], frame["signal"], marker="o", markersize=2.5, color=COLORS[0])
        log_if_decades(ax)
        layer_axis(ax)
        ax.set(xlabel=label("depth"), ylabel=label("dz_norm"))
        for end, align in ((frame.iloc[0], "left"), (frame.iloc[-1], "right")):
            x = 0.0 if align == "left" else 1.0
            ax.annotate(
                str(end["strongest"])[-NAMED:], (x, 1.0), xycoords="axes fraction", ha=align, va="bottom", fontsize=6.5
            )
    return figure
