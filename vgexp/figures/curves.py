"""Curves: loss and error over training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from vgexp.figures.looks import arrange
from vgexp.figures.pictures import Picture, seeds_in
from vgexp.figures.recorded import Recorded, finite, recorded
from vgexp.figures.series import draw_band, draw_group, draw_key
from vgexp.figures.style import rows_of_panels, step_axis
from vgexp.results import Results, estimate
from vgexp.results.grouping import rows_of

SMOOTHED = 5
"""Observations averaged in a training curve: a batch of 10 is noisy."""
PANELS = {"loss": ("train_loss", "valid_loss"), "error rate": ("train_error", "valid_error")}
"""Axis -> the batch's column, the validation set's."""
DECADES = 30
"""From this factor on between losses their axis is a log axis: below, the eye compares differences."""


def curve_picture(results: Results, color: str | None = None, facet: str | None = None) -> Picture:
    """Training loss and error over steps, mean and range over seeds; validation as separate marks.

    `color`, `facet`: fields to tell groups apart by; a value of `facet` has a row of panels of its own. Raises Missing
    where nothing of this was recorded.
    """
    frame, found = _frame(results)
    evaluated = frame["quantity"].str.startswith("valid").any()
    return Picture(
        draw_curves(frame, color, facet, "nats" if (results.runs["loss"] == "cross_entropy").all() else ""),
        f"Training. Lines: loss and error of the batch, mean over seeds (evenly spaced observations as running means "
        f"of {SMOOTHED}); bands: range over seeds ({seeds_in(frame)}, each until it diverges)."
        + (" Marks: the validation set, with 95 % intervals over seeds." if evaluated else "")
        + found.note,
        frame,
    )


def curve_frame(results: Results) -> pd.DataFrame:
    """`group step quantity value low high seeds`: smoothed batches with their range over seeds, evaluations with their
    95 % interval."""
    return _frame(results)[0]


def _frame(results: Results) -> tuple[pd.DataFrame, Recorded]:
    found = _recorded(results)
    parts, of = [], rows_of(found.rows)
    for name, runs in found.groups.items():
        steps = of(runs["run"])
        for batch, evaluation in PANELS.values():
            parts.append(_smoothed(steps, batch).assign(group=name, quantity=batch))
            parts.append(_evaluated(steps, evaluation).assign(group=name, quantity=evaluation))
    columns = ["group", "step", "quantity", "value", "low", "high", "seeds"]
    frame = pd.concat([part for part in parts if not part.empty], ignore_index=True)[columns]
    return found.described(frame), found


def draw_curves(frame: pd.DataFrame, color: str | None = None, facet: str | None = None, unit: str = "nats") -> Figure:
    """Two panels: losses in a unit, errors; a row of them for each value that facets go by."""
    arranged = arrange(frame, color=color, facet=facet)
    with rows_of_panels(len(arranged.facets), 2) as (figure, axes):
        for column, (text, (batch, evaluation)) in zip(axes.T, PANELS.items(), strict=True):
            shown = frame[frame["quantity"].isin((batch, evaluation))]
            shift = max(step_axis(ax, np.unique(shown["step"])) for ax in column)
            for series, rows in arranged.of(shown.assign(at=shown["step"] + shift)):
                ax, look = column[series.facet], series.look
                draw_band(ax, rows[rows["quantity"] == batch], "at", look, "_")
                draw_group(ax, rows[rows["quantity"] == evaluation], "at", look, "_", look.marker, capsize=2)
            for ax in column:
                ax.set_ylabel(f"{text} ({unit})" if unit and text == "loss" else text)
            if text == "loss" and _decades(shown["value"].dropna()):
                for ax in column:  # what of an interval is below 0 runs out of the panel
                    ax.set_yscale("log", nonpositive="clip")
            for ax in column[:-1]:
                ax.set_xlabel("")
        draw_key(figure, list(axes[:, 0]), arranged)
    return figure


def _decades(values: pd.Series) -> bool:
    above = values[values > 0]
    return bool((values >= 0).all() and above.max() > DECADES * above.min())


def _recorded(results: Results) -> Recorded:
    """Steps with a finite loss or error."""
    columns = [column for pair in PANELS.values() for column in pair]
    rows = finite(results.table("steps", ["run", "step", *columns]), *columns)
    return recorded(results, rows, "losses", marks=2 * rows["step"].nunique())


def _smoothed(steps: pd.DataFrame, column: str) -> pd.DataFrame:
    table = steps.dropna(subset=[column]).pivot(index="step", columns="run", values=column)
    smooth = running_mean(table)
    seeds = smooth.count(axis=1)
    found = {"value": smooth.mean(axis=1), "seeds": seeds}
    found |= {"low": smooth.min(axis=1).where(seeds > 1), "high": smooth.max(axis=1).where(seeds > 1)}
    return pd.DataFrame(found).reset_index()


def running_mean(table: pd.DataFrame) -> pd.DataFrame:
    """Means over `SMOOTHED` rows around each, over fewer near the ends, as many on either side: what happens after a
    step does not show before it, and the first and the last row stay what they are.

    Rows that are not evenly spaced are returned as they are: they lie too far apart to be averaged. Empty cells count
    for nothing.
    """
    gaps = np.diff(table.index.to_numpy())
    if len(gaps) < 2 or (gaps[:-1] != gaps[0]).any():  # the last observation may come early
        return table
    means = {reach: table.rolling(2 * reach + 1, 1, center=True).mean() for reach in range(SMOOTHED // 2 + 1)}
    smooth = means[SMOOTHED // 2]
    for reach in reversed(range(min(SMOOTHED // 2, len(table)))):
        for row in (reach, len(table) - 1 - reach):
            smooth.iloc[row] = means[reach].iloc[row]
    return smooth.where(table.notna())


def _evaluated(steps: pd.DataFrame, column: str) -> pd.DataFrame:
    by_step = steps.dropna(subset=[column]).groupby("step")[column]
    found = [(step, *estimate(values.to_numpy())) for step, values in by_step]
    return pd.DataFrame(found, columns=["step", "value", "low", "high", "seeds"])
