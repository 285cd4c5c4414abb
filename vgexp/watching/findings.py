"""Findings: rules that read the evidence, and say what is wrong, where, by which numbers, and what to try.

All rules are relative: the fall of the gradient in decades, exact zeros, fractions of units. So they find the same when
the loss is multiplied by a number.

Legend: N units.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from vgexp.results import verdict
from vgexp.watching.evidence import Evidence, Row
from vgexp.watching.falls import Fall, graded
from vgexp.watching.remedies import remedy

FINDING_KINDS = ("nan", "disconnected", "dead", "cliff", "vanishing", "exploding", "not_updated", "saturated", "silent")
"""Worst first."""
SEVERITY = (
    (2.0, "plain SGD gets slow at such a fall"),
    (3.0, "at such a fall plain SGD mostly fails, and Adam mostly works"),
    (4.0, "plain SGD failed in every network with such a fall that was tried"),
    (6.0, "plain SGD failed in every network with such a fall that was tried, and Adam mostly did"),
)
"""What training did, by the decades that the gradient had lost at initialisation."""
MAJORITY = 0.5
"""A layer counts as silent when more than this fraction of its units is, and as saturated when more than this fraction
of its activation's entries is."""
SIGN_TEST_LEVEL = 1e-3
"""Deep in a healthy network examples look alike: about half of the units are off on all of them, and half are on. So
units that are off are a fault only where they are too many for that. A sign test compares how many are off on all
examples with how many are on; it has to reject equal odds at this level, divided by the number of layers tested."""
NEAR_OVERFLOW = 1e25
"""Where dz is not finite, it has overflowed if dz of the layer above is larger than this."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where, by which numbers, and what to try."""

    kind: str
    layers: list[str]
    evidence: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, as JSON knows it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}\n  in  {span(self.layers)}\n  try {self.remedy}"


def trend(evidence: Evidence, fall: Fall) -> list[Finding]:
    """What the fall says: a cliff, where one place explains it, else vanishing or exploding; in one branch or through
    time, where the network as a whole is well. Where dz underflows to 0 it vanishes, where it overflows it explodes."""
    faded, burst = underflowed(evidence), overflowed(evidence)
    word = verdict(fall.decades) if len(fall.levels) > 1 else "healthy"
    if faded or burst:
        word = "vanishing" if faded else "exploding"
    elif fall.cliff is not None:
        return [_cliff(fall)]
    elif word in ("healthy", "undecided"):
        return _astray(fall)
    names = unique([*(row["name"] for row in graded(evidence)), *faded, *burst])
    words = _whole(fall, word) if len(fall.levels) > 1 else "no dz is left"
    if faded:
        words += f"; below, it underflows to 0 in {len(faded)} more"
    if burst:
        words += f"; below, it overflows in {len(burst)} more"
    return [Finding(word, names, words, remedy(word, weighted(evidence)))]


def _whole(fall: Fall, word: str) -> str:
    top, bottom = fall.ends
    verb = "falls" if fall.decades.point > 0 else "grows"
    words = f"the gradient {verb} by {abs(fall.decades.point):.2g} decades, {change(top, bottom)}"
    severe = [said for decades, said in SEVERITY if word == "vanishing" and fall.decades.point > decades]
    return "; ".join([words, *severe[-1:]])


def _cliff(fall: Fall) -> Finding:
    assert fall.cliff is not None
    lost, top, bottom, between = fall.cliff
    words = f"the gradient loses {lost:.2g} decades between two neighbours, {change(top, bottom)}"
    if between:
        words += f"; between them: {', '.join(between)}"
    advice = f"look at what lies between {bottom['name']} and {top['name']}: a norm over few values, a gate or softmax "
    return Finding("cliff", [top["name"], bottom["name"]], words, f"{advice}that is saturated, or a small factor")


def _astray(fall: Fall) -> list[Finding]:
    """What is lost on one way only."""
    if fall.time is not None:
        lost, top, bottom = fall.time
        word = "vanishing" if lost > 0 else "exploding"
        verb = "falls" if lost > 0 else "grows"
        words = f"through time the gradient {verb} by {abs(lost):.2g} decades over the calls of {top['name']}, "
        return [Finding(word, [top["name"]], words + change(top, bottom), THROUGH_TIME[word])]
    if fall.branch is not None:
        lost, top, bottom = fall.branch
        words = f"in one branch the gradient falls by {lost:.2g} decades, {change(top, bottom)}; the others are well"
        advice = f"compare {bottom['name']} with its neighbours: its scale of weights, its gates, what it is added to"
        return [Finding("vanishing", [bottom["name"]], words, advice)]
    return []


THROUGH_TIME = {
    "vanishing": "an LSTM or GRU, its forget bias at 1 or more, orthogonal recurrent weights, or shorter sequences",
    "exploding": "clipped gradients, orthogonal recurrent weights, or shorter sequences",
}
"""What helps a recurrent layer."""


def change(top: Row, bottom: Row) -> str:
    """The signal of two calls in words."""
    return f"from {top['dz_norm']:.2g} at {where(top)} to {bottom['dz_norm']:.2g} at {where(bottom)}"


def underflowed(evidence: Evidence) -> list[str]:
    """Layers whose dz is exactly 0 because the one above is next to the smallest number of its type."""
    return _below(
        evidence, lambda row: row["dz_rms"] == 0, lambda above: 0 < above["dz_rms"] < above["underflow_below"]
    )


def overflowed(evidence: Evidence) -> list[str]:
    """Layers whose dz is not finite because the one above is next to the largest number."""
    return _below(evidence, lambda row: "dz_rms" in row["broken"], lambda above: above["dz_rms"] > NEAR_OVERFLOW)


def _below(evidence: Evidence, lost: Callable[[Row], bool], near: Callable[[Row], bool]) -> list[str]:
    """Layers where dz is lost and that have one above them that is near to losing it, or is lost in this way."""
    by_depth = sorted((row for row in evidence.rows if row["depth"] >= 0), key=lambda row: row["depth"])
    near_or_lost = {row["index"] for row in by_depth if not lost(row) and near(row)}
    found: list[Row] = []
    for row in by_depth:
        if lost(row) and near_or_lost.intersection(row["above"]):
            near_or_lost.add(row["index"])
            found.append(row)
    return unique(row["name"] for row in sorted(found, key=lambda row: row["layer"]))


def not_finite(evidence: Evidence) -> list[Finding]:
    """The first layer with something that is not finite: forward if there is any, else backward, else in dW."""
    if evidence.trouble:
        culprit, how = evidence.trouble
        advice = "look at what goes in: the root or logarithm of a negative number, or a division by 0"
        return [Finding("nan", [culprit], how, advice)]
    for column, what, advice in (
        (
            "w_rms",
            "its weights are not finite",
            "an earlier update broke them: lower the learning rate, clip gradients",
        ),
        ("z_rms", "forward: the first layer whose output is not finite", "look at it and at what lies before it"),
        (
            "dz_rms",
            "backward: the first layer, coming from the loss, whose dz is not finite, though all outputs are",
            "look between it and the layer above: a root or norm at 0, a division by 0, a mask of infinities",
        ),
        ("dw_rms", "backward: its weight gradient is not finite, though z and dz are", "look at its inputs"),
    ):
        broken = [row for row in evidence.rows if column in row["broken"]]
        if broken:
            first = broken[-1] if column == "dz_rms" else broken[0]
            many = f" (so are {len(broken) - 1} more)" if len(broken) > 1 else ""
            return [Finding("nan", [first["name"]], f"{what}, in {where(first)}{many}", advice)]
    return []


def dead(evidence: Evidence) -> list[Finding]:
    """Trainable layers that ran and whose weights get exactly zero gradient, by no underflow.

    Layers behind a parameter that is 0 and has a gradient are not counted as long as a gradient finds a way around
    them: a residual branch may start closed.
    """
    lost = set(underflowed(evidence))
    rows = [row for row in evidence.rows if not row["frozen"] and row["name"] not in lost]
    got = {row["name"]: row["dw_rms"] for row in rows if row["dw_rms"] == row["dw_rms"]}
    for row in rows:  # where weights have no gradient of their own to look at, dz says it
        if row["name"] not in got and row["dz_rms"] == row["dz_rms"] and row["name"] not in evidence.disconnected:
            got[row["name"]] = max(row["dz_rms"], got.get(row["name"], 0.0))
    names = [name for name, gradient in got.items() if gradient == 0]
    if not names:
        return []
    last = max(row["layer"] for row in rows if row["name"] in names)
    around = any(row["layer"] < last and got.get(row["name"], 0) > 0 for row in rows)
    if evidence.gates and around:
        return []
    words = f"{len(names)} of {len(got)} trainable layers that ran get exactly zero gradient"
    above = next((row for row in rows if row["layer"] > last and row["dz_rms"] > 0), None)
    if above is not None:
        words += f"; {where(above)}, above them, has rms(dz) {above['dz_rms']:.2g}"
    if evidence.gates:
        advice = f"{', '.join(evidence.gates[:3])} is 0 and shuts them off: start it with small numbers"
    else:
        advice = "look for units that are all off (smaller biases or steps, leaky_relu), or for a loss that is flat"
    return [Finding("dead", names, words, advice)]


def disconnected(evidence: Evidence) -> list[Finding]:
    """Trainable parameters that no gradient reaches."""
    found: list[Finding] = []
    for why in unique(evidence.disconnected.values()):
        names = [name for name, reason in evidence.disconnected.items() if reason == why]
        words = f"no gradient reaches {span(names)}, trainable: {why}"
        found.append(Finding("disconnected", names, words, "use it, freeze it (requires_grad_(False)) or remove it"))
    return found


def silent(steps: Sequence[Evidence]) -> list[Finding]:
    """Layers most of whose units are off on every example of all the recorded steps, and too many for chance: see
    SIGN_TEST_LEVEL."""
    tested = [row for row in steps[-1].rows if row["off"]]
    level = SIGN_TEST_LEVEL / max(len(tested), 1)
    worst: list[tuple[Row, float]] = []
    for row in tested:
        seen = [off for step in steps for twin in _same_call(step, row) for off in twin["off"]]
        if len({always_N.shape for always_N, _ in seen}) > 1:
            continue
        always_N, never_N = (np.logical_and.reduce(units) for units in zip(*seen, strict=True))
        always, never, fraction = int(always_N.sum()), int(never_N.sum()), float(always_N.mean())
        if fraction > MAJORITY and stats.binomtest(always, always + never, 0.5, "greater").pvalue < level:
            worst.append((row, fraction))
    if not worst:
        return []
    row, fraction = max(worst, key=lambda item: item[1])
    words = f"{fraction:.0%} of the units of {where(row)} are off on every example of {len(steps)} recorded steps"
    advice = "smaller or zero biases, a lower learning rate, or leaky_relu"
    return [Finding("silent", unique(row["name"] for row, _ in worst), words, advice)]


def _same_call(step: Evidence, row: Row) -> list[Row]:
    """A call as it was in another step, if it was there."""
    return [other for other in step.rows if (other["name"], other["call"]) == (row["name"], row["call"])]


def saturated(evidence: Evidence) -> list[Finding]:
    """Layers most of whose activation's entries are flat; not the last layer, whose outputs may be close to 0 and 1."""
    rows = [row for row in evidence.rows[:-1] if row["saturation"] > MAJORITY]
    if not rows:
        return []
    row = max(rows, key=lambda row: row["saturation"])
    entries = f"{row['saturation']:.0%} of the {row['activation']} entries after {where(row)}"
    words = f"{entries} have |phi'| below 4 % of its maximum"
    return [Finding("saturated", unique(row["name"] for row in rows), words, remedy("saturated", weighted(evidence)))]


def weighted(evidence: Evidence) -> list[tuple[str, float, int]]:
    """Activation, rms of the weights and fan-in of the layers for which theory has a scale."""
    return [(row["activation"], row["w_rms"], row["fan_in"]) for row in evidence.rows if row["fan_in"]]


def where(row: Row) -> str:
    """A row in words."""
    call = f", call {row['call']}" if row["call"] else ""
    return f"{row['name']} (layer {row['layer']}{call})"


def unique(names: Iterable[str]) -> list[str]:
    """Each name once, in order."""
    return list(dict.fromkeys(names))


def span(names: Sequence[str], shown: int = 6) -> str:
    """Names for a line of text: the first, the last, and how many."""
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[: shown // 2])} ... {', '.join(names[-2:])} ({len(names)} layers)"
