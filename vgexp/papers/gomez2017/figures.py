"""The figures of Gomez et al. (2017): the error of rebuilt states, by depth and by layer."""

from collections.abc import Callable

import numpy as np
from xarray.ufuncs import exp, log

from vgexp.figures import COLORS, MARKERS, Picture, legend, panels
from vgexp.papers.gomez2017.claims import DEPTHS, SCALES, error, largest_error
from vgexp.results import Results, estimate


def errors(results: Results) -> Picture:
    """The largest relative error against depth, at three scales of the branches."""
    with panels(1, 1, size=(4.4, 3.2)) as (figure, axes):
        ax = axes[0, 0]
        for number, (grid, label) in enumerate(SCALES.items()):
            blocks = [(depth - 1) // 2 for depth in DEPTHS]
            with np.errstate(divide="ignore", invalid="ignore"):
                logs = [estimate(np.log10(largest_error(grid, one, results))) for one in blocks]
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
            rebuilt = error(grid, 101, results).sel(layer=slice(2, None))
            mean = exp(log(rebuilt).mean("seed", skipna=False))
            ax.plot(mean["layer"], mean, color=COLORS[number], label=label)
        ax.set(yscale="log", xlabel="layer", ylabel="relative error of a rebuilt state")
        legend(figure, ax)
    return Picture(
        figure,
        "The same layer by layer in 50 blocks (geometric mean of 5 seeds): the states are rebuilt from the top down, "
        "and every coupling magnifies the errors of those above.",
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"errors": errors, "layers": layers}
