"""The figures of Chen et al. (2016): memory against depth, work against memory, one step as it goes."""

from collections.abc import Callable

import numpy as np

from vgexp.config import CheckpointConfig, DataConfig, ModelConfig, Run
from vgexp.costs import counted
from vgexp.figures import COLORS, MARKERS, Picture, label_panel, legend, panels
from vgexp.papers.budget import UNIT, flops, units
from vgexp.papers.chen2016.claims import DEPTHS, WAYS, at
from vgexp.results import Results


def memory(results: Results) -> Picture:
    """Live units against depth for the four ways, theory as lines."""
    with panels(1, 1, size=(4.4, 3.4)) as (figure, axes):
        ax = axes[0, 0]
        n = np.geomspace(DEPTHS[0], DEPTHS[-1], 50)
        for number, (way, (label, theory, law)) in enumerate(WAYS.items()):
            found = [float(units(at(way, depth), results).mean()) for depth in DEPTHS]
            ax.plot(DEPTHS, found, MARKERS[number], color=COLORS[number], label=f"{label}: {law}")
            ax.plot(n, theory(n), color=COLORS[number], linewidth=0.8)
        ax.set(xscale="log", yscale="log", xlabel="layers n", ylabel="live memory (layers' activations)")
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        "Memory of one training step against depth: marks are counted exactly (2 runs, equal), lines are the "
        "theory's leading term. Storing needs one unit a layer; a few units of gradients come on top in every mode.",
    )


def front(results: Results) -> Picture:
    """Work against memory at each depth: what a byte saved costs."""
    with panels(1, 1, size=(4.4, 3.2)) as (figure, axes):
        ax = axes[0, 0]
        for number, (way, (label, _, _)) in enumerate(WAYS.items()):
            grids = [at(way, depth) for depth in DEPTHS]
            x = [float(units(grid, results).mean()) for grid in grids]
            y = [float((flops(grid, results) / grid.runs(results, "forward_flops")).mean()) for grid in grids]
            ax.plot(x, y, f"{MARKERS[number]}-", color=COLORS[number], label=label, linewidth=0.7)
        ax.set(xscale="log", xlabel="live memory (layers' activations)", ylabel="FLOPs of a step / forward pass")
        legend(figure, ax, columns=2)
    return Picture(
        figure,
        f"What memory costs: FLOPs of a step over those of its forward pass, at depths {', '.join(map(str, DEPTHS))} "
        "along each line. Storing costs three forward passes, checkpoints and rebuilding four, few snapshots a "
        "little more with depth.",
    )


def timeline(results: Results) -> Picture:
    """Live memory while one step goes forward and back."""
    modes = {
        "store": ("store", "plain", "sqrt"),
        "segments": ("checkpoint", "plain", "sqrt"),
        "revolve": ("checkpoint", "plain", "revolve(4)"),
        "invert": ("invert", "reversible", "sqrt"),
    }
    with panels(1, 4, sharey=True, size=(7.6, 2.5)) as (figure, axes):
        for number, (ax, (grid, (mode, family, every))) in enumerate(zip(axes[0], modes.items(), strict=True)):
            run = Run(
                data=DataConfig("digits", 64),
                model=ModelConfig(family, depth=32, width=64),
                memory=mode,
                checkpoint=CheckpointConfig(every),
            )
            costs = counted(run, 64, 10)
            live = np.array(costs.timeline) / UNIT
            ax.fill_between(np.arange(len(live)), live, step="post", color=COLORS[number], alpha=0.35, linewidth=0)
            ax.axvline(costs.backward_at, color="0.4", linewidth=0.7, linestyle=":")
            label_panel(ax, WAYS[grid][0].replace("10", "4"))
            ax.set_xlabel("allocations and releases")
        axes[0, 0].set_ylabel("live memory (layers' activations)")
    return Picture(
        figure,
        "One step of 32 layers as it goes: live memory after each allocation and release; dotted, where the backward "
        "pass begins. Storing fills up and empties; checkpoints keep every sixth layer and refill one segment at a "
        "time; a reversible network stays level.",
    )


FIGURES: dict[str, Callable[[Results], Picture]] = {"memory": memory, "front": front, "timeline": timeline}
