"""Forecasts: what a run will cost in each memory mode, in closed form, and how deep a network a memory can train.

FLOPs are exact. Live bytes are a + b units(depth), with a and b from two shallow networks:
the modes differ in how many layers' activations they hold at once. Shallower ones are counted.
"""

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

from vgexp.config import ConfigError, Run, revolve_snapshots
from vgexp.costs.counting import Costs, count
from vgexp.costs.scaling import scaled, shadow
from vgexp.networks import FAMILIES, blueprints, kept_tensors, moves, segment_length, weight_bytes

if TYPE_CHECKING:  # who plans a training asks for the memory it takes, and needs no pandas
    import pandas as pd

SHALLOW = (17, 65)
"""Depths that the closed form of live bytes is fitted to; 16 and 64 couplings."""
DEEPEST = 10**7


def forecast(run: Run, inputs: int, classes: int, budget: float | None = None) -> "pd.DataFrame":
    """One row for each memory mode that the family has: `memory forward_flops backward_flops live_bytes weight_bytes`.

    With a budget in bytes also `largest_depth` (of the largest width, where widths differ). Weights include the
    optimiser's slots, the gradients that are kept to be clipped, and the scratch gradient. Raises ConfigError for a
    budget where no two blocks are alike.
    """
    import pandas as pd

    if budget is not None and not follows_depth(_at_depth(run, 3)):
        accepts = "no budget where layers grow with the depth, as in a dense network: every depth is counted by itself"
        raise ConfigError("--budget", f"{budget:g} bytes", accepts)
    modes = ("store", "checkpoint", "invert") if FAMILIES[run.model.family].invert else ("store", "checkpoint")
    rows = []
    for mode in modes:
        moded = dataclasses.replace(run, memory=mode)
        forward, backward = flops(moded, inputs, classes)
        live = live_bytes(moded, inputs, classes)
        row = {
            "memory": mode,
            "forward_flops": forward,
            "backward_flops": backward,
            "live_bytes": live(run.model.depth) if follows_depth(run) else counted(moded, inputs, classes).live_bytes,
            "weight_bytes": weight_bytes(run, inputs, classes, kept_tensors(run)),
        }
        if budget is not None:
            row["largest_depth"] = largest_depth(moded, inputs, classes, live, budget)
        rows.append(row)
    return pd.DataFrame(rows)


def flops(run: Run, inputs: int, classes: int) -> tuple[int, int]:
    """FLOPs of one step: of the forward pass, and of the backward pass with update and recomputation.

    A product takes 2 B I O. The backward pass has two products a matrix (one in the first layer, whose input needs no
    gradient) and one more for each matrix that is run again.
    """
    products: Counter[int] = Counter()
    for part in blueprints(run, inputs, classes):
        if part.is_matrix:
            products[part.layer] += 2 * run.data.batch_size * part.fan_in * part.fan_out
    forward = products.total()
    again = sum(products[layer] * count for layer, count in enumerate(_repeats(run), start=1))
    return forward, 2 * forward - products[1] + again


def follows_depth(run: Run) -> bool:
    """Whether all blocks are alike. Where they are not, costs follow no simple law: they are counted for each depth."""
    shapes: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for part in blueprints(run, 1, 1):
        shapes[part.layer].append((part.fan_in, part.fan_out))
    return all(shapes[layer] == shapes[2] for layer in range(3, run.model.depth + 1))


def live_bytes(run: Run, inputs: int, classes: int) -> Callable[[int], float]:
    """depth -> the most that activations and their gradients take at once in a step."""
    if not follows_depth(_at_depth(run, 3)):
        return lambda depth: counted(_at_depth(run, depth), inputs, classes).live_bytes
    known = [scaled(_at_depth(run, depth), inputs, classes) for depth in SHALLOW]
    units = [held_layers(_at_depth(run, depth)) for depth in SHALLOW]
    slope = (known[1] - known[0]) / (units[1] - units[0]) if units[1] > units[0] else 0.0

    def live(depth: int) -> float:
        if depth < SHALLOW[0]:
            return scaled(_at_depth(run, depth), inputs, classes)
        return known[0] + slope * (held_layers(_at_depth(run, depth)) - units[0])

    return live


def largest_depth(run: Run, inputs: int, classes: int, live: Callable[[int], float], budget: float) -> int:
    """The deepest network that fits, 0 where none does: by doubling and bisection, since both parts grow with depth."""
    few, more = (weight_bytes(_at_depth(run, depth), inputs, classes, kept_tensors(run)) for depth in SHALLOW)
    a_layer = (more - few) / (SHALLOW[1] - SHALLOW[0])

    def fits(depth: int) -> bool:
        weights = few + a_layer * (depth - SHALLOW[0])
        return weights + live(depth) <= budget

    low, high = 0, 1
    while high < DEEPEST and fits(high):
        low, high = high, min(2 * high, DEEPEST)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _repeats(run: Run) -> list[int]:
    """How often each layer below the readout is run besides once forward."""
    stored = FAMILIES[run.model.family].stored
    n = run.model.depth - stored
    snapshots = revolve_snapshots(run.checkpoint.every)
    if run.memory == "store":
        again = [0] * n
    elif run.memory == "invert" or snapshots is None:
        again = [1] * n
    else:
        again = [-1] * n
        for source, target, keep in moves(n, snapshots):
            for step in range(source, target if keep else target + 1):
                again[step] += 1
    return [0] * stored + again


def held_layers(run: Run) -> float:
    """Layers whose activations are held at once, up to a constant."""
    if run.memory == "store":
        return run.model.depth
    if run.memory == "invert":
        return 0
    n = run.model.depth - FAMILIES[run.model.family].stored
    snapshots = revolve_snapshots(run.checkpoint.every)
    if snapshots is not None:
        return min(n, snapshots + 2) + (n >= snapshots + 4)  # beside them what is run again, and where it starts
    every = segment_length(n) if run.checkpoint.every == "sqrt" else run.checkpoint.every
    segments = math.ceil(n / every)
    last = n - every * (segments - 1)
    return max(segments + last, segments - 1 + every if segments > 1 else 0)


def counted(run: Run, inputs: int, classes: int) -> Costs:
    """The ledger of one step of a run's network, from its shapes alone."""
    return count(shadow(run, inputs, classes, "meta"))


def _at_depth(run: Run, depth: int) -> Run:
    width = run.model.width if isinstance(run.model.width, int) else max(run.model.width)
    return dataclasses.replace(run, model=dataclasses.replace(run.model, depth=depth, width=width))
