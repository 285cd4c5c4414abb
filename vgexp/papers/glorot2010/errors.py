"""Test errors over training: figures 11 and 12 of Glorot & Bengio (2010)."""

import contextlib
from collections.abc import Mapping, Sequence

import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from vgexp.claims import Grid, Missing
from vgexp.figures import COLORS, MARKERS, Picture, draw_band, label_panel, legend, numbered, panels, seeds_in
from vgexp.papers.glorot2010.measures import ROWS, SIGMOID_4, finite
from vgexp.results import Results, short

PAPER_ERRORS = {
    1_000_000: {
        "Softsign": 0.46,
        "Softsign N": 0.66,
        "Tanh": 0.68,
        "Tanh N": 0.55,
        "Sigmoid": 0.834,
        "Sigmoid, 4 layers": 0.834,
    },
    5_000_000: {
        "Softsign": 0.34,
        "Softsign N": 0.35,
        "Tanh": 0.48,
        "Tanh N": 0.34,
        "Sigmoid": 0.834,
        "Sigmoid, 4 layers": 0.834,
    },
}
"""Figure 11: test error after so many examples."""
NAMES = list(PAPER_ERRORS[1_000_000])
"""Its curves, in the order of their colors."""
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
    """The rows of table 1 by pixel range, `data.range`, and beside each its errors in the paper, as far as ours go."""
    parts = []
    for rows in ({**ROWS, "Sigmoid, 4 layers": SIGMOID_4}, OTHER):
        ours = error_frame(rows, results)
        if len(ours):
            paper = pd.DataFrame(
                {"group": name, "step": examples // BATCH, "examples": examples, "paper": read[name]}
                for examples, read in PAPER_ERRORS.items()
                for name in ours["group"].unique()
                if examples <= ours["examples"].max()
            ).assign(quantity="test_error")
            both = pd.concat([ours, paper], ignore_index=True).reindex(columns=[*ours, "paper"])
            parts.append(both.assign(**{"data.range": _pixels(rows, results)}))
    if not parts:
        raise Missing("no finished runs in the grids of table 1")
    return pd.concat(parts, ignore_index=True)


def figure11(results: Results) -> Picture:
    """Test error over examples seen, Shapeset, in one or both pixel ranges."""
    frame = figure11_frame(results)
    ranges = frame.groupby("data.range", sort=False)
    other = frame[frame["data.range"] == list(ranges.groups)[-1]].dropna(subset="seeds")
    with panels(1, len(ranges), sharey=True, size=(3.6 * len(ranges), 3.2)) as (figure, axes):
        for ax, (pixels, rows) in zip(axes[0], ranges, strict=True):
            draw_errors(ax, rows[rows["paper"].isna()], NAMES)
            for _, row in rows.dropna(subset="paper").iterrows():
                number = NAMES.index(row["group"])
                at = [row["examples"] / 1e6], [100 * row["paper"]]
                ax.plot(*at, MARKERS[number], color=COLORS[number], mfc="none", ms=5)
            label_panel(ax, f"pixels in {pixels}")
            ax.set_ylabel("test error (%)" if ax is axes[0, 0] else "")
        legend(figure, axes[0, 0], columns=2 if len(ranges) == 1 else 3)
    return Picture(
        figure,
        "Figure 11 of the paper: test error on Shapeset (10,000 images) as it is learned; line: mean over seeds, "
        "band: their range; hollow marks: the paper's curves; a million examples are 100,000 updates, 5 epochs."
        + (
            f" Left the pixel range that comes closer to the paper, right the other one ({seeds_in(other)})."
            if len(ranges) > 1
            else ""
        ),
        frame,
    )


def figure12(results: Results) -> Picture:
    """Test error over examples seen, MNIST and CIFAR-10."""
    parts = [
        error_frame({name: finite(data, name) for name in ROWS}, results).assign(**{"data.name": data})
        for data in ("mnist", "cifar10")
    ]
    frame = pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)
    if frame.empty:
        raise Missing(results.left_out.get("mnist_tanh", "no finished runs on mnist or cifar10"))
    sets = frame.groupby("data.name", sort=False)
    with panels(1, len(sets)) as (figure, axes):
        for ax, (data, rows) in zip(axes[0], sets, strict=True):
            draw_errors(ax, rows, list(ROWS))
            ax.set_yscale("log")  # from 90 % of wrong guesses to the 2 % where the curves part
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(ScalarFormatter())
            ax.yaxis.set_minor_formatter(NullFormatter())
            label_panel(ax, str(data))
        legend(figure, axes[0, 0])
    return Picture(
        figure,
        "Figure 12 of the paper: test error on MNIST and CIFAR-10, as far as they are here, mean and range over seeds, "
        "on a logarithmic scale.",
        frame,
    )


def _pixels(rows: Mapping[str, Grid], results: Results) -> str:
    """The pixel ranges of the rows that there are."""
    found = set()
    for grid in rows.values():
        with contextlib.suppress(Missing):
            found.add(short(grid.table(results)["data.range"].iloc[0]))
    return ", ".join(sorted(found))
