"""The figures of gomez2017."""

from collections.abc import Callable

import numpy as np

from vgexp.claims import Selection
from vgexp.figures import COLORS, MARKERS, Picture, legend, panels
from vgexp.papers.gomez2017.claims import DEPTHS, SCALES, error
from vgexp.results import Results, estimate


def errors(results: Results) -> Picture:
    """The largest relative error against depth, at three scales of the branches."""
    with panels(1, 1, size=(4.4, 3.2)) as (figure, axes):
        ax = axes[0, 0]
        for number, (grid, label) in enumerate(SCALES.items()):
            blocks = [(depth - 1) // 2 for depth in DEPTHS]
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = [estimate(np.log10(error(grid, one)(results))) for one in blocks]
            points = np.array([10**one.point for one in logs])
            seen = np.isfinite(points)
            ax.plot(np.array(blocks)[seen], points[seen], f"{MARKERS[number]}-", color=COLORS[number], label=label)
        ax.axhline(1, color="0.4", linewidth=0.7, linestyle=":")
        ax.axhline(2**-24, color="0.4", linewidth=0.7, linestyle="--")
        ax.set(
            xscale="log", yscale="log", xlabel="blocks", ylabel="relative error of a rebuilt state", ylim=(1e-8, 1e24)
        )
        legend(figure, ax)
    return Picture(
        figure,
        "The largest relative error of a rebuilt state, geometric mean of 5 seeds, float32. Dashed: rounding; "
        "dotted: nothing left of the state. Rounding errors grow exponentially with depth unless the branches are "
        "small. Values that overflowed are left out.",
    )


def layers(results: Results) -> Picture:
    """The error layer by layer in 50 blocks."""
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        ax = axes[0, 0]
        for number, (grid, label) in enumerate(SCALES.items()):
            values_SL = Selection(grid, {"model.depth": 101}).at("rebuild_error")(results)[:, 1:]
            layer = np.arange(2, 2 + values_SL.shape[1])
            ax.plot(layer, np.exp(np.log(values_SL).mean(0)), color=COLORS[number], label=label)
        ax.set(yscale="log", xlabel="layer", ylabel="relative error of a rebuilt state")
        legend(figure, ax)
    return Picture(
        figure,
        "The same layer by layer in 50 blocks (geometric mean of 5 seeds): the states are rebuilt from the top down, "
        "and every coupling magnifies the errors of those above.",
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"errors": errors, "layers": layers}
