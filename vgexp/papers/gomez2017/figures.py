"""The figures of Gomez et al. (2017): the error of rebuilt states, by depth and by layer."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from xarray.ufuncs import exp, log

from vgexp.claims import Missing
from vgexp.figures import Picture, draw_series, legend, panels, positive, seeds_in
from vgexp.papers.gomez2017.claims import DEPTHS, SCALES, error, largest_error
from vgexp.results import Results, geometric_mean

ERROR = "relative error of a rebuilt state"
GUIDES = {"rounding": (2**-24, "--"), "nothing left of the state": (1.0, ":")}
"""Errors that the figures compare with, and how the lines look."""


def error_frame(results: Results) -> pd.DataFrame:
    """`group blocks value low high seeds`: the largest relative error of a rebuilt state, geometric mean over seeds.

    Errors that overflowed in a seed are left out. The guides have no `blocks`.
    """
    rows = []
    for grid, text in SCALES.items():
        for depth in DEPTHS:
            blocks = (depth - 1) // 2
            rows.append((text, blocks, *geometric_mean(largest_error(grid, blocks, results).to_numpy())))
    rows += [(text, np.nan, value, np.nan, np.nan, 0) for text, (value, _) in GUIDES.items()]
    frame = pd.DataFrame(rows, columns=["group", "blocks", "value", "low", "high", "seeds"])
    return frame[np.isfinite(frame["value"])].reset_index(drop=True)


def errors(results: Results) -> Picture:
    """The largest relative error against depth, at three scales of the branches."""
    frame = error_frame(results)
    guide = frame["group"].isin(GUIDES)
    with panels(1, 1, size=(4.4, 3.2)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame[~guide].drop(columns=["low", "high"]), "blocks")
        for _, row in frame[guide].iterrows():
            style = GUIDES[row["group"]][1]
            ax.axhline(row["value"], color="0.4", linewidth=0.7, linestyle=style, label=row["group"])
        ax.set(xscale="log", yscale="log", xlabel="blocks", ylabel=ERROR, ylim=(1e-8, None))
        legend(figure, ax)
    return Picture(
        figure,
        f"The largest relative error of a rebuilt state, geometric mean of {seeds_in(frame)}, float32. "
        "Rounding errors grow exponentially with depth unless the branches are small. Values that "
        "overflowed are left out.",
        frame,
    )


def layer_frame(results: Results) -> pd.DataFrame:
    """`group layer value seeds`: the error of each layer's state in 50 blocks, geometric mean over seeds."""
    parts = []
    for grid, text in SCALES.items():
        rebuilt = error(grid, 101, results).sel(layer=slice(2, None))
        mean = exp(log(rebuilt.where(rebuilt > 0)).mean("seed", skipna=False))
        parts.append(mean.to_dataframe("value").reset_index().assign(group=text, seeds=rebuilt.sizes["seed"]))
    frame = positive(pd.concat(parts, ignore_index=True), "value")
    if frame.empty:
        raise Missing("no rebuilding errors above 0")
    return frame


def layers(results: Results) -> Picture:
    """The error layer by layer in 50 blocks."""
    frame = layer_frame(results)
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame, "layer", "-")
        ax.set(yscale="log", xlabel="layer", ylabel=ERROR)
        legend(figure, ax)
    return Picture(
        figure,
        f"The same layer by layer in 50 blocks (geometric mean of {seeds_in(frame)}): the states are rebuilt from "
        "the top down, and every coupling magnifies the errors of those above.",
        frame,
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"errors": errors, "layers": layers}
