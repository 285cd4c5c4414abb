"""Findings about the units of layers: silent ones, and saturated ones.

Legend: N units.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from vgexp.watching.hooks.graph import ACTIVATION_NODES
from vgexp.watching.verdicts.evidence import Evidence, Row
from vgexp.watching.verdicts.findings import Finding, unique, where
from vgexp.watching.verdicts.remedies import advice, remedies

MAJORITY = 0.5
"""A layer counts as silent when more than this fraction of its units is, and as saturated when more than this fraction
of its activation's entries is."""
SMOOTH = {activation.name for activation in ACTIVATION_NODES.values() if activation.smooth}
TWO_SIDED = {"tanh", "sigmoid", "erf"}
"""Activations that are flat on both sides. On one side softplus, silu and their like are flat by design."""
SIGN_TEST_LEVEL = 1e-3
"""Deep in a healthy network examples look alike: about half of the units are off on all of them, and half are on. So
units that are off are a fault only where they are too many for that. A sign test compares how many are off on all
examples with how many are on; it has to reject equal odds at this level, divided by the number of layers tested."""

GATES = ("sigmoid", "hardsigmoid")
"""Activations of gates."""


def silent(steps: Sequence[Evidence]) -> list[Finding]:
    """Layers most of whose units are off on every example of all the recorded steps, and too many for chance: see
    SIGN_TEST_LEVEL."""
    tested = list({row["name"]: row for row in reversed(steps[-1].rows) if row["off"]}.values())[::-1]
    level = SIGN_TEST_LEVEL / max(len(tested), 1)
    worst: list[tuple[Row, float]] = []
    for row in tested:
        seen = [off for step in steps for call in _calls(step, row) for off in call["off"]]
        if len({always_N.shape for always_N, _ in seen}) > 1:
            continue
        always_N, never_N = (np.logical_and.reduce(units) for units in zip(*seen, strict=True))
        always, never, fraction = int(always_N.sum()), int(never_N.sum()), float(always_N.mean())
        if fraction > MAJORITY and stats.binomtest(always, always + never, 0.5, "greater").pvalue < level:
            worst.append((row, fraction))
    if not worst:
        return []
    row, fraction = max(worst, key=lambda item: item[1])
    seen = f"{len(steps)} recorded steps" if len(steps) > 1 else "the recorded step"
    words = f"{fraction:.0%} of the units of {where(row)} are off on every example of {seen}"
    help_ = advice("smaller or zero biases, a lower learning rate, or leaky_relu")
    return [Finding("silent", unique(row["name"] for row, _ in worst), words, help_)]


def _calls(step: Evidence, row: Row) -> list[Row]:
    """All calls of a layer as they were in a step: a unit is silent if it is off in each."""
    return [other for other in step.rows if other["name"] == row["name"]]


def saturated(evidence: Evidence) -> list[Finding]:
    """Layers most of whose activation's entries are flat."""
    rows = [row for row in bounded(evidence) if row["saturation"] > MAJORITY]
    if not rows:
        return []
    row = max(rows, key=lambda row: row["saturation"])
    names = " and ".join(name for name in row["activation"].split() if name in SMOOTH)
    entries = f"{row['saturation']:.0%} of the {names} entries after {where(row)}"
    words = f"{entries} have |phi'| below 4 % of its maximum"
    return [Finding("saturated", unique(row["name"] for row in rows), words, remedies("saturated", evidence.rows))]


def bounded(evidence: Evidence) -> list[Row]:
    """The calls before activations that can be saturated; not those next to the loss, whose outputs may be close to 0
    and 1, and no gates, which are there to be open or shut: sigmoids that multiply something."""
    rows = [row for row in evidence.rows if row["saturation"] >= 0 and row["depth"] != 0]
    rows = [row for row in rows if row["activation"] not in GATES or "Mul" not in row["plumbing"]]
    return [row for row in rows if TWO_SIDED.issuperset(set(row["activation"].split()) & SMOOTH)]
