"""Diagnosis: what a recorded step of any model says about its gradients, in one word and with the numbers.

Evidence is relative: the slope of log10 rms(dz) over the layers in the order of execution, exact zeros, fractions of
units. So the verdict does not change when the loss is multiplied by a number.

Legend: N units, L layers.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from vgexp.results import Estimate, slope, verdict
from vgexp.watching.remedies import scale

KINDS = ("nan", "vanishing", "exploding", "dead", "disconnected", "silent", "saturated", "borderline")
"""Worst first."""
MOST = 0.5
"""A layer is silent, or saturated, when more than this fraction of its units, or entries, is."""
CHANCE = 1e-3
"""A unit of a deep healthy network may be off, or on, on a whole batch. Off is a fault only where a sign test of the
ones against the others says that chance would do it more rarely than this, all layers taken together."""
HUGE = 1e25
"""Where dz overflows, what is left of it above must be rising to this to be called exploding."""


class Detail(NamedTuple):
    """What the diagnosis knows of a row beside its numbers."""

    smallest: float
    """Below this dz may have underflowed."""
    silent: list[np.ndarray]
    """For each activation and pass: units (N,) that were off on the whole batch."""
    always: list[np.ndarray]
    """Units that were on on the whole batch."""
    fan_in: int
    """Inputs of one unit; 0 where theory has no scale for the layer."""


class Observed(NamedTuple):
    """One recorded step."""

    step: int
    rows: list[dict[str, Any]]
    details: list[Detail]
    absent: dict[str, str]
    """Layers without a measured gradient, and why."""
    disconnected: dict[str, str]
    """Those of them that are trainable and got none."""
    gates: list[str]
    """Parameters that are 0 and have a gradient: what they multiply starts closed."""
    trouble: tuple[str, str] | None = None
    """Where something first was not a number, found by looking closer, and how."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, where, by which numbers, and what to try."""

    kind: str
    layers: list[str]
    evidence: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.kind}: {self.evidence}\n  in  {span(self.layers)}\n  try {self.remedy}"


@dataclass(frozen=True)
class Diagnosis:
    """The findings, worst first, and the profile that they were read from."""

    findings: list[Finding] = field(default_factory=list)
    profile: str = ""
    """The gradient over depth, in words."""
    step: int = 0

    @property
    def verdict(self) -> str:
        return self.findings[0].kind if self.findings else "healthy"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, as JSON knows it."""
        findings = [finding.to_dict() for finding in self.findings]
        return {"verdict": self.verdict, "step": self.step, "profile": self.profile, "findings": findings}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1)

    def __str__(self) -> str:
        return "\n".join([f"{self.verdict} (step {self.step}): {self.profile}", *map(str, self.findings)])


def judge(observed: Sequence[Observed]) -> Diagnosis:
    """The diagnosis of the last of some recorded steps; units count as silent if they were in all of them."""
    last = observed[-1]
    fall, words = profile(last)
    found = [
        *not_a_number(last),
        *trend(last, fall),
        *dead(last),
        *disconnected(last),
        *silent(observed),
        *saturated(last),
    ]
    found.sort(key=lambda finding: KINDS.index(finding.kind))
    if overflowed(last):  # what dz overflows to is no fault of its own
        found = [finding for finding in found if finding.kind != "nan"]
    return Diagnosis(found, words, last.step)


def profile(observed: Observed) -> tuple[Estimate, str]:
    """The fall of dz, in decades from output to input, over all calls where it is a positive number; and in words."""
    dz_L = alive(observed)
    if len(dz_L) < 2:
        return Estimate(math.nan, math.nan, math.nan, 1), f"{len(dz_L)} layer with a gradient has no profile"
    rise = slope(np.log10(dz_L)[None])
    fall = rise.map(lambda s: s * (len(dz_L) - 1))
    factor = rise.map(lambda s: 10**-s)
    words = f"dz changes by {factor:.3g} a layer towards the input over {len(dz_L)} layers, falls {fall:.2g} decades"
    return fall, words if not math.isnan(fall.low) else f"{words} (fewer than 5 layers: no interval)"


def alive(observed: Observed) -> np.ndarray:
    """rms(dz) of the calls where it is a positive number, in order."""
    dz_L = np.array([row["dz_rms"] for row in observed.rows], dtype=float)
    return dz_L[np.isfinite(dz_L) & (dz_L > 0)]


def trend(observed: Observed, fall: Estimate) -> list[Finding]:
    """Vanishing, exploding or borderline, from the fall; gradients that under- or overflow on the way count as such."""
    rows = [row for row in observed.rows if row["dz_rms"] > 0 and math.isfinite(row["dz_rms"])]
    word = verdict(fall) if len(rows) > 1 else "healthy"
    faded, burst = underflowed(observed), overflowed(observed)
    if faded:
        word = "vanishing"
    elif burst:
        word = "exploding"
    if word == "healthy":
        return []
    numbers = f"rms(dz) falls by {fall:.2g} decades from output to input, {ends(rows)}" if rows else "no dz is left"
    if faded:
        numbers += f"; below, it underflows to 0 in {len(faded)} more"
    if burst:
        numbers += f"; below, it overflows in {len(burst)} more"
    names = unique([*(row["name"] for row in rows), *faded, *burst])
    if word == "borderline":
        return [Finding(word, names, numbers, "watch it over some steps, or more layers: it may be fine")]
    return [Finding(word, names, numbers, scale(word, weighted(observed)))]


def underflowed(observed: Observed) -> list[str]:
    """Layers whose dz is exactly 0 where the one above is next to the smallest number of its type."""
    return _beyond(observed, lambda row: row["dz_rms"] == 0, lambda dz, detail: dz < detail.smallest)


def overflowed(observed: Observed) -> list[str]:
    """Layers whose dz is not finite where the one above is next to the largest number."""
    return _beyond(observed, lambda row: "dz_rms" in row.get("broken", ()), lambda dz, detail: dz > HUGE)


def _beyond(
    observed: Observed, lost: Callable[[dict[str, Any]], bool], near: Callable[[float, Detail], bool]
) -> list[str]:
    pairs = list(zip(observed.rows, observed.details, strict=True))
    seen = [(row, detail) for row, detail in pairs if row["dz_rms"] == row["dz_rms"] or lost(row)]
    for i in range(len(seen) - 1, 0, -1):
        (row, _), (above, detail) = seen[i - 1], seen[i]
        if lost(row) and not lost(above) and near(above["dz_rms"], detail):
            return unique(earlier["name"] for earlier, _ in seen[:i] if lost(earlier))
    return []


def not_a_number(observed: Observed) -> list[Finding]:
    """The first layer with something that is not finite: forward if there is any, else backward, else in dW."""
    if observed.trouble:
        culprit, how = observed.trouble
        return [Finding("nan", [culprit], how, "look at what goes in: a root, logarithm or quotient of what has none")]
    for column, evidence, remedy in (
        (
            "w_rms",
            "its weights are not finite",
            "an earlier update broke them: lower the learning rate, clip gradients",
        ),
        ("z_rms", "forward: the first layer whose output is not finite", "look at it and at what lies before it"),
        (
            "dz_rms",
            "backward: the first layer, coming from the loss, whose dz is not finite, though all outputs are",
            "look at what lies between it and the layer above: a root or norm at 0, a quotient, a mask of infinities",
        ),
        ("dw_rms", "backward: its weight gradient is not finite, though z and dz are", "look at its inputs"),
    ):
        broken = [row for row in observed.rows if column in row.get("broken", ())]
        if broken:
            first = broken[-1] if column == "dz_rms" else broken[0]
            many = f" (so are {len(broken) - 1} more)" if len(broken) > 1 else ""
            return [Finding("nan", [first["name"]], f"{evidence}, in {where(first)}{many}", remedy)]
    return []


def dead(observed: Observed) -> list[Finding]:
    """Trainable layers that ran and whose weights get exactly zero gradient, by no underflow.

    Not counted are layers that wait behind a parameter which is 0 and has a gradient (a residual branch that starts
    closed) as long as the gradient finds a way around it.
    """
    lost = set(underflowed(observed))
    rows = [row for row in observed.rows if not row["frozen"] and row["name"] not in lost]
    got = {row["name"]: row["dw_rms"] for row in rows if row["dw_rms"] == row["dw_rms"]}
    for row in rows:  # where weights have no gradient of their own to look at, dz says it
        if row["name"] not in got and row["dz_rms"] == row["dz_rms"] and row["name"] not in observed.disconnected:
            got[row["name"]] = max(row["dz_rms"], got.get(row["name"], 0.0))
    names = [name for name, gradient in got.items() if gradient == 0]
    if not names:
        return []
    last = max(row["layer"] for row in rows if row["name"] in names)
    around = any(row["layer"] < last and got.get(row["name"], 0) > 0 for row in rows)
    if observed.gates and around:
        return []
    evidence = f"{len(names)} of {len(got)} trainable layers that ran get exactly zero gradient"
    above = next((row for row in rows if row["layer"] > last and row["dz_rms"] > 0), None)
    if above is not None:
        evidence += f"; {where(above)}, above them, has rms(dz) {above['dz_rms']:.2g}"
    if observed.gates:
        remedy = f"{', '.join(observed.gates[:3])} is 0 and shuts them off: start it with small numbers"
    else:
        remedy = "look for units that are all off (smaller biases or steps, leaky_relu), or for a loss that is flat"
    return [Finding("dead", names, evidence, remedy)]


def disconnected(observed: Observed) -> list[Finding]:
    """Trainable layers that no gradient reaches."""
    found: list[Finding] = []
    for why in unique(observed.disconnected.values()):
        names = [name for name, reason in observed.disconnected.items() if reason == why]
        remedy = "use it, freeze it (requires_grad_(False)) or remove it"
        found.append(
            Finding("disconnected", names, f"no gradient reaches {len(names)} trainable layers: {why}", remedy)
        )
    return found


def silent(observed: Sequence[Observed]) -> list[Finding]:
    """Layers most of whose units are off on every example of all the recorded steps, and not by the chance by which as
    many would be on."""
    last = observed[-1]
    worst: list[tuple[dict[str, Any], float]] = []
    tested = sum(bool(detail.silent) for detail in last.details)
    for row, detail in zip(last.rows, last.details, strict=True):
        twins = [_detail(step, row) for step in observed]
        off = [units for twin in twins if twin for units in twin.silent]
        on = [units for twin in twins if twin for units in twin.always]
        if not detail.silent or len({units.shape for units in off}) > 1:
            continue
        off_N, on_N = np.logical_and.reduce(off), np.logical_and.reduce(on)
        k, n = int(off_N.sum()), int(off_N.sum() + on_N.sum())
        if off_N.mean() > MOST and stats.binomtest(k, n, 0.5, "greater").pvalue < CHANCE / tested:
            worst.append((row, float(off_N.mean())))
    if not worst:
        return []
    row, fraction = max(worst, key=lambda item: item[1])
    evidence = f"{fraction:.0%} of the units of {where(row)} are off on every example of {len(observed)} recorded steps"
    remedy = "smaller or zero biases, a lower learning rate, or leaky_relu"
    return [Finding("silent", unique(row["name"] for row, _ in worst), evidence, remedy)]


def _detail(observed: Observed, row: dict[str, Any]) -> Detail | None:
    for other, detail in zip(observed.rows, observed.details, strict=True):
        if (other["name"], other["call"]) == (row["name"], row["call"]):
            return detail
    return None


def saturated(observed: Observed) -> list[Finding]:
    """Layers most of whose activations are flat; not the last one, whose outputs may be sure of themselves."""
    rows = [row for row in observed.rows[:-1] if row["saturation"] > MOST]
    if not rows:
        return []
    row = max(rows, key=lambda row: row["saturation"])
    entries = f"{row['saturation']:.0%} of the {row['activation']} entries after {where(row)}"
    evidence = f"{entries} have |phi'| below 4 % of its maximum"
    return [Finding("saturated", unique(row["name"] for row in rows), evidence, scale("saturated", weighted(observed)))]


def weighted(observed: Observed) -> list[tuple[str, float, int]]:
    """Activation, rms of the weights and fan-in of the layers for which theory has a scale."""
    pairs = zip(observed.rows, observed.details, strict=True)
    return [(row["activation"], row["w_rms"], detail.fan_in) for row, detail in pairs if detail.fan_in]


def where(row: dict[str, Any]) -> str:
    """A row in words."""
    call = f", call {row['call']}" if row["call"] else ""
    return f"{row['name']} (layer {row['layer']}{call})"


def ends(rows: Sequence[dict[str, Any]]) -> str:
    """The first and the last of some rows, with their dz."""
    return f"from {rows[-1]['dz_rms']:.2g} at {where(rows[-1])} to {rows[0]['dz_rms']:.2g} at {where(rows[0])}"


def unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def span(names: Sequence[str], shown: int = 6) -> str:
    """Names for a line of text: the first, the last, and how many."""
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[: shown // 2])} ... {', '.join(names[-2:])} ({len(names)} layers)"
