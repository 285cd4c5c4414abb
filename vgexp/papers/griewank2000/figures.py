"""The figures of Griewank & Walther (2000): steps run again against snapshots."""

from collections.abc import Callable

import numpy as np

from vgexp.figures import COLORS, MARKERS, Picture, legend, panels
from vgexp.networks import extra_steps
from vgexp.papers.griewank2000.claims import DEPTHS, SNAPSHOTS, recomputed
from vgexp.results import Results


def steps(results: Results) -> Picture:
    """Recomputed steps a layer against snapshots, the formula as lines."""
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        ax = axes[0, 0]
        many = np.arange(1, 33)
        for number, depth in enumerate(DEPTHS):
            found = [float(recomputed(depth, s, results).mean()) / depth for s in SNAPSHOTS]
            ax.plot(SNAPSHOTS, found, MARKERS[number], color=COLORS[number], label=f"{depth} layers")
            ax.plot(many, [extra_steps(depth, int(s)) / depth for s in many], color=COLORS[number], linewidth=0.8)
        ax.set(xscale="log", yscale="log", xlabel="snapshots s", ylabel="steps recomputed / layers")
        legend(figure, ax)
    return Picture(
        figure,
        "Forward steps that are run again, a layer: marks are counted in FLOPs (2 runs, equal), lines are the "
        "formula. With one snapshot, the input, the work is quadratic; a handful makes it a few sweeps.",
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"steps": steps}
