"""The figures of Chen et al. (2016): memory against depth, work against memory, one step as it goes."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from vgexp.config import CheckpointConfig, DataConfig, ModelConfig, Run
from vgexp.costs import counted
from vgexp.figures import COLORS, Picture, draw_series, label_panel, legend, panels, seeds_in
from vgexp.papers.budget import UNIT, flops, units
from vgexp.papers.chen2016.claims import DEPTHS, WAYS, at
from vgexp.results import Results

LIVE = "live memory (layers' activations)"
STEPS = {
    "store": ("store", "plain", "sqrt"),
    "segments": ("checkpoint", "plain", "sqrt"),
    "revolve": ("checkpoint", "plain", "revolve(4)"),
    "invert": ("invert", "reversible", "sqrt"),
}
"""Way -> memory mode, family and checkpoints of the steps that are shown as they go."""


def memory_frame(results: Results) -> pd.DataFrame:
    """`group depth value theory seeds`: live units of each way, and the theory's leading term, also in between."""
    between = np.geomspace(DEPTHS[0], DEPTHS[-1], 50)[1:-1]
    depths = np.array([*DEPTHS, *between])
    parts = []
    for way, (text, theory, law) in WAYS.items():
        counted_units = [units(at(way, depth), results) for depth in DEPTHS]
        columns = {
            "value": [float(one.mean()) for one in counted_units] + [np.nan] * len(between),
            "seeds": [one.sizes["seed"] for one in counted_units] + [0] * len(between),
        }
        parts.append(pd.DataFrame({"group": f"{text}: {law}", "depth": depths, "theory": theory(depths)} | columns))
    return pd.concat(parts, ignore_index=True)


def memory(results: Results) -> Picture:
    """Live units against depth for the four ways, theory as lines."""
    frame = memory_frame(results)
    deep = frame[frame["depth"] == DEPTHS[-1]]
    more = deep["value"] - deep["theory"]
    with panels(1, 1, size=(4.4, 3.4)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame, "depth")
        ax.plot([], [], color="0.4", linewidth=0.9, label="lines: kept activations alone")
        ax.set(xscale="log", yscale="log", xlabel="layers n", ylabel=LIVE)
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        f"Memory of one training step against depth. Marks: counted exactly ({seeds_in(frame)}); lines: the leading "
        "term of theory, the activations that are kept. Gradients and the layer at work come on top in every mode: "
        f"{more.min():.1f} to {more.max():.1f} units at {DEPTHS[-1]} layers.",
        frame,
    )


def front_frame(results: Results) -> pd.DataFrame:
    """`group depth units value seeds`: live units, and FLOPs of a step over those of its forward pass."""
    rows = []
    for way, (text, _, _) in WAYS.items():
        for depth in DEPTHS:
            grid = at(way, depth)
            work = flops(grid, results) / grid.runs(results, "forward_flops")
            rows.append((text, depth, float(units(grid, results).mean()), float(work.mean()), work.sizes["seed"]))
    return pd.DataFrame(rows, columns=["group", "depth", "units", "value", "seeds"])


def front(results: Results) -> Picture:
    """Work against memory at each depth."""
    frame = front_frame(results)
    most = frame.loc[frame["group"] == WAYS["revolve"][0], "value"].max()
    with panels(1, 1, size=(4.4, 3.2)) as (figure, axes):
        ax = axes[0, 0]
        draw_series(ax, frame, "units", linewidth=0.7)
        ax.set(xscale="log", xlabel=LIVE, ylabel="FLOPs of a step / forward pass")
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        "What saving memory costs: FLOPs of a step over those of its forward pass. Along each line the depth is "
        f"{', '.join(map(str, DEPTHS))}. Storing costs three forward passes, checkpoints and rebuilding four, few "
        f"snapshots more the deeper the network, up to {most:.2g}.",
        frame,
    )


def timeline_frame() -> pd.DataFrame:
    """`group event pass value`: live units after each allocation and release of one step, counted."""
    parts = []
    for way, (mode, family, every) in STEPS.items():
        run = Run(
            data=DataConfig("digits", 64),
            model=ModelConfig(family, depth=32, width=64),
            memory=mode,
            checkpoint=CheckpointConfig(every),
        )
        costs = counted(run, 64, 10)
        events = np.arange(len(costs.timeline))
        columns = {"event": events, "pass": np.where(events < costs.backward_at, "forward", "backward")}
        one = pd.DataFrame(columns | {"value": np.array(costs.timeline) / UNIT})
        parts.append(one.assign(group=WAYS[way][0].replace("10", "4")))
    return pd.concat(parts, ignore_index=True)


def timeline(results: Results) -> Picture:
    """Live memory while one step goes forward and back."""
    frame = timeline_frame()
    with panels(1, len(STEPS), sharey=True, size=(7.6, 2.5)) as (figure, axes):
        for ax, color, (name, rows) in zip(axes[0], COLORS, frame.groupby("group", sort=False), strict=False):
            ax.fill_between(rows["event"], rows["value"], step="post", color=color, alpha=0.35, linewidth=0)
            begins = rows.loc[rows["pass"] == "backward", "event"].min()
            ax.axvline(begins, color="0.4", linewidth=0.7, linestyle=":")
            label_panel(ax, str(name))
            ax.set_xlabel("allocations and releases")
        axes[0, 0].set_ylabel(LIVE)
    return Picture(
        figure,
        "One step of 32 layers as it goes: live memory after each allocation and release; the dotted line is where the "
        "backward pass begins. Storing fills up and empties; checkpoints keep every sixth layer and refill one "
        "segment at a time; a reversible network stays level.",
        frame,
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"memory": memory, "front": front, "timeline": timeline}
