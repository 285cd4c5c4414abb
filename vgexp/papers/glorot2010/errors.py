"""Test errors over training: figures 11 and 12 of Glorot & Bengio (2010)."""

import contextlib
from collections.abc import Mapping, Sequence

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from vgexp.claims import Grid, Missing
from vgexp.figures import COLORS, MARKERS, Picture, draw_band, label_panel, legend, numbered, panels
from vgexp.papers.glorot2010 import claims as claims
from vgexp.papers.glorot2010.claims import ROWS, SIGMOID_4
from vgexp.results import Results, short

PAPER_ERRORS = {
    "Softsign": 0.46,
    "Softsign N": 0.66,
    "Tanh": 0.68,
    "Tanh N": 0.55,
    "Sigmoid": 0.834,
    "Sigmoid, 4 layers": 0.834,
}
"""Figure 11 at a million examples: test error."""
OTHER = {name: Grid(f"other_{row.name}") for name, row in ROWS.items()}
"""The rows of table 1 in the pixel range that was not chosen."""
BATCH = 10
"""Examples an update."""


def error_frame(rows: Mapping[str, Grid], results: Results) -> pd.DataFrame:
    """`group step examples quantity value low high seeds` of the rows that have results: test errors, mean and range
    over seeds."""
    parts = []
    for group, grid in rows.items():
        try:
            error = grid.steps(results, "test_error", gaps=True)
        except Missing:
            continue
        spread = {"value": error.mean("seed", skipna=False)}
        if error.sizes["seed"] > 1:
            spread |= {"low": error.min("seed", skipna=False), "high": error.max("seed", skipna=False)}
        found = xr.Dataset(spread).to_dataframe().reset_index()
        parts.append(found.assign(group=group, quantity="test_error", seeds=error.sizes["seed"]))
    columns = ["group", "step", "examples", "quantity", "value", "low", "high", "seeds"]
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    return frame.reindex(columns=columns).assign(examples=lambda x: BATCH * x["step"])


def draw_errors(ax: Axes, frame: pd.DataFrame, groups: Sequence[str]) -> None:
    """Test error in per cent over millions of examples, lines in bands; `groups`: all that share the colors."""
    for group, rows in frame.groupby("group", sort=False):
        percent = {column: 100 * rows[column] for column in ("value", "low", "high")}
        shown = rows.assign(million=rows["examples"] / 1e6, **percent)
        draw_band(ax, shown, "million", numbered(groups.index(str(group))), str(group))
    ax.set_xlabel("examples seen (million)")
    ax.set_ylabel("test error (%)")


def figure11_frame(results: Results) -> pd.DataFrame:
    """The rows of table 1 by pixel range, `data.range`, and beside each the paper's errors at a million examples."""
    parts = []
    for rows in ({**ROWS, "Sigmoid, 4 layers": SIGMOID_4}, OTHER):
        ours = error_frame(rows, results)
        if len(ours):
            paper = pd.DataFrame({"group": PAPER_ERRORS.keys(), "paper": PAPER_ERRORS.values()}).assign(
                step=100_000, examples=1_000_000, quantity="test_error"
            )
            parts.append(pd.concat([ours, paper], ignore_index=True).assign(**{"data.range": _pixels(rows, results)}))
    if not parts:
        raise Missing("no finished runs in the grids of table 1")
    return pd.concat(parts, ignore_index=True)


def figure11(results: Results) -> Picture:
    """Test error over examples seen, Shapeset, in one or both pixel ranges."""
    frame = figure11_frame(results)
    names = list(PAPER_ERRORS)
    ranges = frame.groupby("data.range", sort=False)
    with panels(1, len(ranges), sharey=True, size=(3.6 * len(ranges), 3.2)) as (figure, axes):
        for ax, (pixels, rows) in zip(axes[0], ranges, strict=True):
            draw_errors(ax, rows[rows["paper"].isna()], names)
            for _, row in rows.dropna(subset="paper").iterrows():
                number = names.index(row["group"])
                at = [row["examples"] / 1e6], [100 * row["paper"]]
                ax.plot(*at, MARKERS[number], color=COLORS[number], mfc="none", ms=5)
            label_panel(ax, f"pixels in {pixels}")
            ax.set_ylabel("test error (%)" if ax is axes[0, 0] else "")
        legend(figure, axes[0, 0], columns=2 if len(ranges) == 1 else 3)
    return Picture(
        figure,
        "Figure 11 of the paper: test error on Shapeset (10,000 images) as it is learned; line: mean over seeds, "
        "band: their range; hollow marks: the paper's curves at a million examples, 100,000 updates, 5 epochs."
        + (
            " Left the pixel range that comes closer to the paper, right the other one (1 seed)."
            if len(ranges) > 1
            else ""
        ),
        frame,
    )


def figure12(results: Results) -> Picture:
    """Test error over examples seen, MNIST and CIFAR-10."""
    parts = [
        error_frame({name: claims.finite(data, name) for name in ROWS}, results).assign(**{"data.name": data})
        for data in ("mnist", "cifar10")
    ]
    frame = pd.concat(parts, ignore_index=True)
    if frame.empty:
        raise Missing(results.left_out.get("mnist_tanh", "no finished runs on mnist or cifar10"))
    with panels(1, 2) as (figure, axes):
        for ax, data in zip(axes[0], ("mnist", "cifar10"), strict=True):
            draw_errors(ax, frame[frame["data.name"] == data], list(ROWS))
            label_panel(ax, data)
        legend(figure, axes[0, 0])
    return Picture(
        figure, "Figure 12 of the paper: test error on MNIST and CIFAR-10, mean and range over seeds.", frame
    )


def _pixels(rows: Mapping[str, Grid], results: Results) -> str:
    """The pixel ranges of the rows that there are."""
    found = set()
    for grid in rows.values():
        with contextlib.suppress(Missing):
            found.add(short(grid.table(results)["data.range"].iloc[0]))
    return ", ".join(sorted(found))
