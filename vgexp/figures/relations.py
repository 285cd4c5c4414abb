"""Relations: one recorded column over another, as a person asks for them."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vgexp.config import ConfigError
from vgexp.figures.looks import arrange, field_named
from vgexp.figures.pictures import Picture, seeds_in
from vgexp.figures.recorded import Recorded, finite, hidden, recorded
from vgexp.figures.series import draw_group, draw_key
from vgexp.figures.style import layer_axis, log_if_decades, rows_of_panels, step_axis
from vgexp.results import TABLES, Results, conditions, estimate, geometric_mean, label

DECADES = 30
"""How many times the smallest number of an axis the largest must be for the axis to be logarithmic."""


def relation_picture(
    results: Results,
    x: str | None = None,
    y: str | None = None,
    step: int | None = None,
    color: str | None = None,
    facet: str | None = None,
) -> Picture:
    """`y`, a column of `layers`, `steps` or `runs`, over `x`: the layer, the step, or a field in which runs differ.

    By default dz_rms over the layers; what is recorded by layer has a color a layer over other axes. `step`: where x is
    not the step; by default the first of what is recorded by layer, else the last. Raises ConfigError for what there is
    not, with what there is.
    """
    frame, found = _frame(results, x, y or "dz_rms", step)
    over, quantity, steps = frame["over"].iloc[0], frame["quantity"].iloc[0], frame["step"].dropna().unique()
    at = f" at step {steps[0]:g}" if len(steps) == 1 and over != "step" else ""
    mean = "geometric mean" if _geometric(frame) else "mean"
    return Picture(
        draw_relation(frame, color, facet),
        f"{label(quantity)} over {label(over)}{at}: {mean} and 95 % interval over {seeds_in(frame)}.{found.note}",
        frame,
    )


def relation_frame(results: Results, x: str | None, y: str, step: int | None = None) -> pd.DataFrame:
    """`group layer step over x quantity value low high seeds` and the fields that differ: a row a mark.

    `over` names what `x` is. `layer` is there where y is recorded by layer and x is another axis.
    """
    return _frame(results, x, y, step)[0]


def _frame(results: Results, x: str | None, y: str, step: int | None) -> tuple[pd.DataFrame, Recorded]:
    table, rows = _rows(results, y)
    over = _axis(results, x, table)
    rows = finite(rows, y)
    if over != "step" and table != "runs":
        rows = rows[rows["step"] == _step(rows, step, table)]
    elif step is not None:
        raise ConfigError("--step", step, f"no step where {y} is drawn over {over}")
    if over not in rows:
        rows = rows.merge(results.runs[["run", over]], on="run")
    besides = over if over in results.runs else ""
    keys = [over] + (["layer"] if table == "layers" and over != "layer" else [])
    found = recorded(results, rows, label(y), besides, len(rows[keys].drop_duplicates()))
    mean = geometric_mean if table == "layers" and (rows[y] > 0).all() else estimate
    parts: list[dict[str, Any]] = []
    for name, runs in found.groups.items():
        for key, values in rows[rows["run"].isin(runs["run"])].groupby(keys, dropna=False):
            at = dict(zip(keys, key, strict=True))
            row = mean(values[y].to_numpy())
            parts.append(
                {"group": name, "x": at.pop(over), "over": over, "quantity": y, "value": row.point}
                | {"low": row.low, "high": row.high, "seeds": row.seeds, "geometric": mean is geometric_mean}
                | {"step": values["step"].iloc[0] if table != "runs" else np.nan}
                | at
            )
    return found.described(pd.DataFrame(parts)), found


def _geometric(frame: pd.DataFrame) -> bool:
    return bool(frame["geometric"].iloc[0])


def _rows(results: Results, y: str) -> tuple[str, pd.DataFrame]:
    """The table that a column is in, and its rows: of `layers`, the last matrices of the hidden layers."""
    there: dict[str, str] = {}
    for table in ("layers", "steps", "runs"):
        frame = getattr(results, table)
        named = [c for c in frame if c not in TABLES[table].key and pd.api.types.is_numeric_dtype(frame[c])]
        for column in named:
            if frame[column].notna().any() and (table != "runs" or column in TABLES[table].names):
                there.setdefault(column, table)
    if y not in there:
        raise ConfigError("--y", y, f"a column that was recorded: {', '.join(there)}")
    return there[y], hidden(results, y) if there[y] == "layers" else getattr(results, there[y])


def _axis(results: Results, x: str | None, table: str) -> str:
    """What x is: `layer` or `step` where the table has it, or a field that differs between the runs."""
    own = {"layers": ["layer", "step"], "steps": ["step"], "runs": []}[table]
    fields = conditions(results.runs)
    if x is None and not own and not fields:
        raise ConfigError("--x", "", "a field that differs between the runs, and none does")
    if x is None or x in own:
        return x or [*own, *fields][0]
    return field_named("x", [*own, *fields], x)


def _step(rows: pd.DataFrame, step: int | None, table: str) -> int:
    steps = sorted(int(one) for one in rows["step"].unique())
    if step is None:
        return steps[0] if table == "layers" else steps[-1]
    if step not in steps:
        raise ConfigError("--step", step, f"a step that was recorded: {in_short(steps)}")
    return step


def in_short(steps: list[int]) -> str:
    """Steps, the middle ones of many left out.

    >>> in_short([0, 10, 20]), in_short([*range(0, 100, 5)])
    ('0, 10, 20', '0, 5, 10, 15, ..., 85, 90, 95')
    """
    shown = [str(step) for step in steps]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-3:]])


def draw_relation(frame: pd.DataFrame, color: str | None = None, facet: str | None = None) -> Figure:
    """One panel, or one for each value that facets go by."""
    over = str(frame["over"].iloc[0])
    arranged = arrange(frame, ("group", "layer") if "layer" in frame else ("group",), color, facet)
    places = _places(frame["x"])
    with rows_of_panels(len(arranged.facets), 1, sharex=True, width=4.4) as (figure, axes):
        panels = list(axes[:, 0])
        shift = max(step_axis(ax, np.unique(frame["x"])) for ax in panels) if over == "step" else 0
        for series, rows in arranged.of(frame.assign(at=frame["x"].map(places) + shift)):
            look, ax = series.look, panels[series.facet]
            draw_group(ax, rows.sort_values("at"), "at", look, "_", f"{look.marker}-", capsize=2)
        if (frame["value"].dropna() > 0).all():  # a log axis has no place for others
            log_if_decades(*panels)
        if over == "layer":
            layer_axis(panels[-1])
        elif over != "step":
            _field_axis(panels[-1], over, places)
        for ax in panels:
            ax.set_ylabel(label(str(frame["quantity"].iloc[0])))
        for ax in panels[:-1]:
            ax.set_xlabel("")
        draw_key(figure, panels, arranged)
    return figure


def _places(column: pd.Series) -> dict[Any, float]:
    """Where the values of x stand: numbers at themselves; names, or numbers of which some are not set, at 0, 1, ..."""
    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numbers and column.notna().all():
        return {value: float(value) for value in column.unique()}
    values = column.sort_values(na_position="first") if numbers else column
    return {value: float(i) for i, value in enumerate(values.unique())}


def _field_axis(ax: Any, field: str, places: dict[Any, float]) -> None:
    """The axis of a field: logarithmic where its numbers span decades, names where it has names."""
    ax.set_xlabel(field.split(".")[-1])
    at = list(places.values())
    if list(places) != at:
        names = ["not set" if pd.isna(value) else str(value) for value in places]
        ax.set_xticks(at, labels=names, rotation=0 if len(at) < 5 else 90)
    elif min(at) > 0 and max(at) > DECADES * min(at):
        ax.set_xscale("log")
    elif all(place == int(place) for place in at):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
