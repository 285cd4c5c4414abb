"""Chen et al. (2016): memory that grows with the root of the depth, or its logarithm, for one more forward pass.

One unit is the memory of one layer's activations. All counts are exact.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from vgexp.claims import Claim, Measure, Part
from vgexp.config import CheckpointConfig, DataConfig, ModelConfig, Run
from vgexp.forecast import counted
from vgexp.measures import Selection, added, ratio, scaled
from vgexp.report import draw
from vgexp.store import Results
from vgexp.style import COLORS, MARKERS, Picture, label_panel, legend, panels

CITATION = "Chen, Xu, Zhang & Guestrin (2016), Training Deep Nets with Sublinear Memory Cost"
INTRO = (
    "Deep tanh networks of 64 units, batches of 64. A unit is the memory of one layer's activations; live bytes are "
    "what activations and their gradients take at most at one moment of a step, counted storage by storage."
)
DEPTHS = (4, 16, 64, 256, 1024)
UNIT = 64 * 64 * 4
SNAPSHOTS = 10
WAYS: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "store": ("store everything", lambda n: n, "n"),
    "segments": ("checkpoint every √n layers", lambda n: 2 * np.sqrt(n), "2√n"),
    "revolve": (f"revolve, {SNAPSHOTS} snapshots", lambda n: np.minimum(n, SNAPSHOTS), f"{SNAPSHOTS}"),
    "invert": ("reversible, rebuilt", lambda n: np.ones_like(n), "1"),
}


def at(grid: str, depth: int) -> Selection:
    return Selection(grid, {"model.depth": depth})


def units(grid: str, depth: int) -> Measure:
    """Peak of live bytes, in units of one layer's activations."""
    return scaled(1 / UNIT, at(grid, depth).total("live_bytes"))


def work(grid: str, depth: int) -> Measure:
    """FLOPs of a whole step."""
    return added(at(grid, depth).total("forward_flops"), at(grid, depth).total("backward_flops"))


def growth(grid: str) -> Measure:
    """Exponent of depth: slope of ln units over ln n from 64 layers on."""

    def measured(results: Results) -> np.ndarray:
        low, high = (np.log(np.asarray(units(grid, depth)(results))) for depth in (64, 1024))
        return (high - low) / math.log(1024 / 64)

    return measured


def step_time(grid: str) -> Measure:
    return added(Selection(grid).milliseconds("forward_ms"), Selection(grid).milliseconds("backward_ms"))


# fmt: off
CLAIMS = (
    Claim("CH-01", "Storing everything takes memory proportional to depth.", "section 1", grids=("store",), parts=(
        Part("live units at depth 1024", 0.98 * 1024, 1.02 * 1024, units("store", 1024), 1024),
        Part("exponent of depth", 0.95, 1.05, growth("store"), 1.0),
    )),
    Claim("CH-02", "Checkpoints every √n layers take O(√n) memory.", "section 4.2", grids=("segments",), parts=(
        Part("live units at depth 1024", 2, 1.1 * 2 * 32, units("segments", 1024), 64),
        Part("exponent of depth", 0.4, 0.6, growth("segments"), 0.5),
    )),
    Claim("CH-03", "… for one more forward pass.", "section 4.2", grids=("store", "segments"), parts=(
        Part("FLOPs of a step, over storing, at depth 1024", 1.33, 1.34,
             ratio(work("segments", 1024), work("store", 1024)), 4 / 3),
    )),
    Claim("CH-04", "Recursive checkpoints take O(log n) memory for O(n log n) work (here: revolve, log₂ n snapshots).",
          "section 4.3", grids=("store", "revolve"), parts=(
        Part("live units at depth 1024", 1, 2 * 10, units("revolve", 1024), 10),
        Part("forward passes more than storing, at depth 1024", 0, 10,
             scaled(3, lambda results: np.asarray(ratio(work("revolve", 1024), work("store", 1024))(results)) - 1), 10),
    )),
    Claim("CH-05", "Inference needs the memory of its most demanding layer, at any depth (an input, a z and an h).",
          "section 3", grids=("store",), parts=tuple(
        Part(f"live units of inference at depth {depth}", 2.99, 3.01,
             scaled(1 / UNIT, at("store", depth).total("inference_bytes")), 3) for depth in (4, 1024)
    )),
    Claim("CH-06", "A step takes about 30 % longer (16 layers of 256 units, batches of 256).", "section 5.3",
          grids=("time", "time_segments"), scale="small", parts=(
        Part("time of a step, over storing", 1.1, 1.6, ratio(step_time("time_segments"), step_time("time")), 1.3),
    )),
    Claim("CH-07", "A network of 4096 layers trains where its activations would not fit (256 units, batches of 256).",
          "section 5", grids=("deep",), scale="small", parts=(
        Part("memory of the process (GB), 1.07 of it parameters", 1.07, 2.0,
             scaled(1e-9, Selection("deep").total("peak_bytes"))),
    )),
)
# fmt: on


def figures(results: Results) -> Mapping[str, Picture | str]:
    """Memory against depth, what it costs, and one step as it goes."""
    return draw({"memory": memory, "front": front, "timeline": timeline}, results)


def memory(results: Results) -> Picture:
    """Live units against depth for the four ways, theory as lines."""
    with panels(1, 1, size=(4.4, 3.4)) as (figure, axes):
        ax = axes[0, 0]
        n = np.geomspace(DEPTHS[0], DEPTHS[-1], 50)
        for number, (grid, (label, theory, law)) in enumerate(WAYS.items()):
            found = [float(np.mean(units(grid, depth)(results))) for depth in DEPTHS]
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
        for number, (grid, (label, _, _)) in enumerate(WAYS.items()):
            reference = [float(np.mean(at(grid, depth).total("forward_flops")(results))) for depth in DEPTHS]
            x = [float(np.mean(units(grid, depth)(results))) for depth in DEPTHS]
            y = [float(np.mean(work(grid, depth)(results))) / one for depth, one in zip(DEPTHS, reference, strict=True)]
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
