"""Agreement: what theory predicts of the gradient's fall at initialisation, against what was measured."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vgexp.claims import Missing
from vgexp.figures.looks import numbered
from vgexp.figures.pictures import Picture, seeds_in
from vgexp.figures.profiles import signals, theory_of
from vgexp.figures.style import legend, panels
from vgexp.results import Results, by_depth, fall
from vgexp.results.profiles import LayerArrays

FEWEST = 3
"""Groups with a theory that are worth a picture."""
TOLERANCE = 0.03, 0.05
"""The band that is drawn: a share of the fall, and decades besides."""


def agreement_picture(results: Results) -> Picture:
    """The fall of every group of runs against the fall that theory predicts, and the difference.

    Raises Missing for fewer than three groups with a theory.
    """
    frame = agreement_frame(results)
    if len(frame) < FEWEST:
        raise Missing(f"fewer than {FEWEST} groups with a theory")
    share, decades = TOLERANCE
    outside = int((abs(frame["value"] - frame["theory"]) > share * abs(frame["theory"]) + decades).sum())
    return Picture(
        draw_agreement(frame),
        f"The fall of the gradient from the last hidden layer to the first, at initialisation: measured (mean and 95 % "
        f"interval over {seeds_in(frame)}) against mean-field theory, and the difference. The band is {share:.0%} of "
        f"the fall and {decades} decades; {outside} of {len(frame)} groups lie outside.",
        frame,
    )


def agreement_frame(results: Results) -> pd.DataFrame:
    """`group family norm depth quantity value low high seeds theory factor factor_theory`: a row a group and depth.

    `value` is the fall in decades of the family's gradient, `factor` what each layer multiplies it by.
    """
    rows = []
    arrays = LayerArrays(results.initial)
    for name, runs in results.groups(besides="model.depth").items():
        for depth, members in by_depth(runs):
            quantity = signals()[members["model.family"].iloc[0]]
            signal_SL = arrays(members["run"], quantity, depth)
            signal_SL = signal_SL[np.isfinite(signal_SL).all(1) & (signal_SL > 0).all(1)]
            theory = theory_of(members)
            if depth < 2 or not len(signal_SL) or theory.empty:
                continue
            predicted_L = theory[quantity].to_numpy()[:depth]
            if not (np.isfinite(predicted_L).all() and (predicted_L > 0).all()):
                continue
            measured = fall(np.log10(signal_SL))
            expected = fall(np.log10(predicted_L)[None]).point
            first = members.iloc[0]
            rows.append(
                {"group": name, "family": first["model.family"], "norm": first["model.norm"], "depth": depth}
                | {"quantity": quantity, "value": measured.point, "low": measured.low, "high": measured.high}
                | {"seeds": measured.seeds, "theory": expected}
                | {"factor": 10 ** (-measured.point / (depth - 1)), "factor_theory": 10 ** (-expected / (depth - 1))}
            )
    return pd.DataFrame(rows)


def draw_agreement(frame: pd.DataFrame) -> Figure:
    """Measured over predicted with the line of equality, and the difference with the band."""
    share, decades = TOLERANCE
    with panels(1, 2) as (figure, axes):
        left, right = axes[0]
        for number, (family, rows) in enumerate(frame.groupby("family", sort=False)):
            look = numbered(number)
            style = {"color": look.color, "marker": look.marker, "fillstyle": look.fill, "ms": 3}
            style |= {"linestyle": "none", "label": str(family), "elinewidth": 0.6, "mew": 0.4, "mec": "white"}
            for ax, offset in ((left, 0.0), (right, rows["theory"])):
                above, below = rows["high"] - rows["value"], rows["value"] - rows["low"]
                bars = np.vstack([below.fillna(0), above.fillna(0)])
                ax.errorbar(rows["theory"], rows["value"] - offset, yerr=bars, **style)
        low, high = float(frame["theory"].min()), float(frame["theory"].max())
        line = np.linspace(low - 0.5, high + 0.5, 200)
        left.plot(line, line, color="0.6", lw=0.8, zorder=0)
        right.fill_between(line, -share * abs(line) - decades, share * abs(line) + decades, color="0.9", zorder=0)
        right.axhline(0, color="0.6", lw=0.8, zorder=0)
        for ax in (left, right):
            ax.set_xlabel("predicted fall (decades)")
        left.set_ylabel("measured fall (decades)")
        right.set_ylabel("measured - predicted (decades)")
        legend(figure, left, columns=5)
    return figure
