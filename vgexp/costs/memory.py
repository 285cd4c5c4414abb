"""Memory: what a stack will take, from its shapes and schedules alone, before anything of it is built."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter

import torch

from vgexp.config import ConfigError, Run, due, revolve_snapshots
from vgexp.costs.forecast import held_layers
from vgexp.data import HELD_OUT, MONITORED, Dataset
from vgexp.networks import blueprints, kept_tensors

SHALLOW = (4, 5, 6, 7)
"""Depths from which sizes go on as a polynomial: they are linear in the depth, or of third order where states grow."""
PART_BYTES = 8000
"""What Python and torch need for a part besides its numbers, measured at 4000 layers of one unit."""
DRAWN = 3
"""Matrices in float64 that live while one is drawn."""
GENEROUS = 4
"""Tensors of the size of its input that a layer may keep for the backward pass; one at the least."""
EVALUATED_AT_ONCE = 1000
"""Examples in a piece of an evaluation."""
ROW_BYTES = 400
"""A row of the `layers` table while it is gathered."""
LISTED_BYTES = 64
"""A number in a list column, with Python's object."""
RECORDS = "records"
HISTOGRAMS = 3 * 201
"""Numbers of a part's histograms of h, dz and dw: edges and densities of 100 bins."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of one network."""

    parts: int
    entries: int
    """Trained numbers."""
    kept: int
    """Numbers that go into the matrices above the first, of one example: what the backward pass needs at the least."""
    widest: int
    """Units of the widest layer."""
    stem: int
    """Entries of the largest matrix of layer 1; likewise of all blocks, and of the readout."""
    block: int
    readout: int
    scratch: int
    """Entries of one gradient of each shape."""

    @property
    def largest(self) -> int:
        """Entries of the largest matrix."""
        return max(self.stem, self.block, self.readout)


def sizes(run: Run, inputs: int, classes: int) -> Sizes:
    """The sizes of a run's network, in no time also for a million layers."""
    depth, width = run.model.depth, run.model.width
    if depth <= max(SHALLOW) or not isinstance(width, int):
        return _sizes(run, inputs, classes)
    known = [dataclasses.astuple(_sizes(_with(run, "model.depth", few), inputs, classes)) for few in SHALLOW]
    return Sizes(*(_continued(list(values), depth - SHALLOW[0]) for values in zip(*known, strict=True)))


@dataclass(frozen=True)
class Need:
    """Bytes that a stack takes, by what for: of the stack as a whole, and of each member."""

    whole: dict[str, int]
    each: dict[str, int]

    def of(self, members: int) -> int:
        """Bytes of a stack of so many members."""
        return sum(self.whole.values()) + members * sum(self.each.values())

    def most(self, members: int) -> str:
        """What takes the most in a stack of so many members."""
        totals = self.whole | {name: members * count for name, count in self.each.items()}
        return max(totals, key=lambda name: totals[name])


def need(run: Run, data: Dataset, kept: int = 1) -> Need:
    """What a run's stack takes, if its layers keep `kept` tensors for the backward pass."""
    of, itemsize, batch = sizes(run, data.inputs, data.classes), getattr(torch, run.dtype).itemsize, run.data.batch_size
    observed = due(run.probe.every, run.steps)
    listed = 0
    if run.probe.tier == "full":
        listed = due(run.probe.histograms, run.steps) * HISTOGRAMS * of.parts
        listed += due(run.probe.spectra, run.steps) * of.widest * run.model.depth
    evaluated = min(EVALUATED_AT_ONCE, data.size or EVALUATED_AT_ONCE) if due(run.eval.every, run.steps) else 0
    held_out = min(HELD_OUT, data.size or HELD_OUT)
    examples = max(batch, MONITORED if run.probe.on == "monitor" and observed else 0)
    return Need(
        whole={
            "the first draw": DRAWN * 8 * of.largest,
            "layers": PART_BYTES * of.parts,
            "the validation and the test set": (2 * held_out * data.inputs * itemsize) if evaluated else 0,
        },
        each={
            "weights": itemsize * (of.entries * (1 + kept_tensors(run)) + of.scratch),
            "activations": int(itemsize * examples * (kept * _held(run, of) + of.widest)),
            "batches": 2 * data.per_block(batch) * (data.inputs + 8) + batch * data.inputs * itemsize,
            "evaluation": itemsize * evaluated * (data.inputs + 3 * of.widest),
            RECORDS: ROW_BYTES * observed * of.parts + LISTED_BYTES * listed,
        },
    )


def _held(run: Run, of: Sizes) -> float:
    """Numbers that the layers hold at once for the backward pass, of one example, at the least."""
    snapshots = revolve_snapshots(run.checkpoint.every)
    if run.memory == "checkpoint" and snapshots is not None:  # of states, not of all that goes into matrices
        width = run.model.width
        return min(snapshots, run.model.depth) * (min(width) if isinstance(width, list) else width)
    return of.kept * held_layers(run) / run.model.depth


def largest_stack(run: Run, data: Dataset, budget: float) -> int:
    """The most members that fit, by a generous estimate; 1 where none does."""
    taken = need(run, data, GENEROUS)
    return max(1, int(budget - taken.of(0)) // sum(taken.each.values()))


def require_memory(run: Run, data: Dataset, members: int, available: int, jobs: int) -> None:
    """Raises ConfigError, with what would fit, where a stack of so many members cannot fit in its share of so many
    bytes, which some jobs take at once."""
    taken, budget = need(run, data), available // jobs
    if taken.of(members) <= budget:
        return
    share = f"the {si(available, 'B')} here" + (f", for {jobs} jobs at once" if jobs > 1 else "")
    total = f"it would take {si(taken.of(members), 'B')}, most of it for {taken.most(members)}, of {share}"
    if taken.of(1) <= budget:
        most = int(budget - taken.of(0)) // sum(taken.each.values())
        raise ConfigError("max_members", run.max_members, f"at most {_rounded(most)}: {total}")
    fits = lambda changed: need(changed, data).of(1) <= budget
    found = list((_rarer_schedules if taken.most(1) == RECORDS else _smaller_numbers)(run, fits))
    if not found:
        raise ConfigError("data.name", run.data.name, f"data that fit: {total}")
    _, key, words = max(found)
    raise ConfigError(key, attrgetter(key)(run), f"{words} with the rest as it is: {total}")


def _smaller_numbers(run: Run, fits: Callable[[Run], bool]) -> Iterator[tuple[float, str, str]]:
    """Which numbers alone could be smaller so that the run fits: how many times its default it is, the field, and what
    it accepts."""
    for key in ("model.width", "model.depth", "model.growth", "data.batch_size"):
        got = attrgetter(key)(run)
        layers = isinstance(got, list)
        if key == "model.depth" and isinstance(run.model.width, list):
            continue
        high = max(got) if layers else got
        most = _last(lambda value, key=key: fits(_with(run, key, value)), high)
        if most:
            yield high / attrgetter(key)(Run()), key, f"{'layers of ' if layers else ''}at most {_rounded(most)}"


def _rarer_schedules(run: Run, fits: Callable[[Run], bool]) -> Iterator[tuple[float, str, str]]:
    """Which schedules alone could be rarer: how many steps are due, the field, and what it accepts."""
    for key in ("probe.every", "probe.histograms", "probe.spectra"):
        got = due(attrgetter(key)(run), run.steps)
        rarer = _last(lambda times, key=key: fits(_with(run, key, max(1, -(-run.steps // times)))), got)
        if rarer:
            yield got, key, f"every {-(-run.steps // rarer)} steps or rarer"


def _last(fits: Callable[[int], bool], got: int) -> int:
    """The largest number below `got` that fits, 0 where none does: by bisection."""
    low, high = 0, got - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _rounded(number: int) -> int:
    """Two digits of a number."""
    digits = 10 ** max(0, len(str(number)) - 2)
    return number // digits * digits


def _sizes(run: Run, inputs: int, classes: int) -> Sizes:
    parts = blueprints(run, inputs, classes)
    matrices = [part for part in parts if part.is_matrix]
    shapes = {(part.fan_in, part.fan_out) for part in matrices}
    largest = [0, 0, 0]
    for part in matrices:
        place = 0 if part.layer == 1 else 2 if part.layer == run.model.depth + 1 else 1
        largest[place] = max(largest[place], part.fan_in * part.fan_out)
    return Sizes(
        parts=len(parts),
        entries=sum(part.entries for part in parts),
        kept=sum(part.fan_in for part in matrices if part.layer > 1),
        widest=max(part.fan_out for part in parts),
        stem=largest[0],
        block=largest[1],
        readout=largest[2],
        scratch=sum(math.prod(shape) for shape in shapes),
    )


def _continued(values: list[int], further: int) -> int:
    """A polynomial through equally distant values, so much further than the first: Newton's forward differences."""
    total, order = 0, 0
    while values:
        total += math.comb(further, order) * values[0]
        values, order = [after - before for before, after in pairwise(values)], order + 1
    return total


def _with(run: Run, key: str, value: int) -> Run:
    """The run with another number in a field; of a list of widths none is larger."""
    group, name = key.split(".")
    config = getattr(run, group)
    if isinstance(getattr(config, name), list) and key == "model.width":
        return dataclasses.replace(run, model=dataclasses.replace(config, width=[min(w, value) for w in config.width]))
    return dataclasses.replace(run, **{group: dataclasses.replace(config, **{name: value})})


def si(value: float, unit: str) -> str:
    """A quantity with a decimal prefix.

    >>> si(1.8e9, "FLOP")
    '1.8 GFLOP'
    """
    for prefix in ("", "k", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.3g} E{unit}"
