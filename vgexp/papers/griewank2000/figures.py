"""The figures of Griewank & Walther (2000): steps run again against snapshots."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from vgexp.figures import Picture, draw_series, legend, panels, seeds_in
from vgexp.networks import extra_steps
from vgexp.papers.griewank2000.claims import DEPTHS, SNAPSHOTS, recomputed
from vgexp.results import Results


def step_frame(results: Results) -> pd.DataFrame:
    """`group depth snapshots value theory seeds`: steps run again over layers, counted, and by the formula."""
    rows = []
    for depth in DEPTHS:
        for snapshots in range(1, 33):
            formula = extra_steps(depth, snapshots) / depth
            again = recomputed(depth, snapshots, results) / depth if snapshots in SNAPSHOTS else None
            found = (np.nan, 0) if again is None else (float(again.mean()), again.sizes["seed"])
            rows.append((f"{depth} layers", depth, snapshots, found[0], formula, found[1]))
    return pd.DataFrame(rows, columns=["group", "depth", "snapshots", "value", "theory", "seeds"])


def steps(results: Results) -> Picture:
    """Steps run again for each layer against the number of snapshots, the formula as lines."""
    frame = step_frame(results)
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame, "snapshots")
        ax.set(xscale="log", yscale="log", xlabel="snapshots s", ylabel="steps recomputed / layers")
        legend(figure, ax)
    return Picture(
        figure,
        f"Forward steps that are run again, per layer. Marks: counted in FLOPs ({seeds_in(frame)}); lines: the "
        "formula. With one snapshot, the input, the work grows with the square of the depth; with a handful it is "
        "a few sweeps.",
        frame,
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"steps": steps}
