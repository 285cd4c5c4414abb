"""Diagnosis: what recorded steps of any model say about its gradients, in one word and with the numbers.

Legend: L layers.
"""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pandas as pd

from vgexp.results import verdict
from vgexp.watching.hooks.layers import owner
from vgexp.watching.hooks.recurrence import TimeProfile
from vgexp.watching.verdicts.connections import (
    constant,
    dead,
    disconnected,
    lost_precision,
    not_finite,
    opening,
    skipped_update,
    without_examples,
)
from vgexp.watching.verdicts.evidence import NEVER_CALLED, Evidence
from vgexp.watching.verdicts.falls import NOTHING, Fall, fall_of, with_open_gates
from vgexp.watching.verdicts.findings import FINDING_KINDS, Finding, span
from vgexp.watching.verdicts.sequences import through_time
from vgexp.watching.verdicts.stalls import not_updated
from vgexp.watching.verdicts.trends import overflowed, trend
from vgexp.watching.verdicts.units import bounded, saturated, silent

if TYPE_CHECKING:
    from vgexp.figures import Picture

SCHEMA = 1
"""The version of what `to_json` writes: see docs/watch.md."""
BY_FALL = ("vanishing", "exploding", "cliff")


@dataclass(frozen=True)
class Diagnosis:
    """The findings, worst first, and how the gradient changes over depth."""

    findings: list[Finding] = field(default_factory=list)
    fall: Fall = NOTHING
    """How the gradient changes over the depth of the network."""
    step: int = 0
    """The recorded step that it is of."""
    saturation: float = 0.0
    """The largest fraction of an activation's entries that are saturated."""
    times: list[TimeProfile] = field(default_factory=list)
    """The gradient over the time steps of recurrent layers."""
    notes: list[str] = field(default_factory=list)
    """What is no finding, but good to know."""

    @property
    def verdict(self) -> str:
        """The worst finding's kind; without a finding `healthy`, or `undecided` by the fall, which is none."""
        if self.findings:
            return self.findings[0].kind
        return "undecided" if len(self.fall.levels) > 1 and verdict(self.fall.decades) != "healthy" else "healthy"

    @property
    def profile(self) -> str:
        """How the gradient changes over depth, in words; empty with fewer than two layers that have one."""
        steps = len(self.fall.levels) - 1
        if steps < 1:
            return ""
        decades = self.fall.decades.point
        words = f"dz changes by {10 ** -(decades / steps):.3g} a layer towards the input over {steps + 1} layers"
        return f"{words} in a row, {'falls' if decades > 0 else 'grows'} by {abs(decades):.2g} decades"

    def measure(self, kind: str) -> float:
        """The number that a kind of finding is read from: decades, or the fraction that is saturated."""
        if kind == "exploding" and self.fall.rise is not None:
            return self.fall.rise.decades
        if kind in BY_FALL:
            return abs(self.fall.decades.point) if len(self.fall.levels) > 1 else math.inf
        return self.saturation

    def in_words(self, kind: str) -> str:
        """The verdict, and what that number is."""
        if kind in BY_FALL:
            return f"{self.verdict}, {self.measure(kind):.2g} decades"
        return f"{self.verdict}, {self.measure(kind):.0%} saturated"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, as JSON knows it: its fields are in docs/watch.md."""
        levels = [
            {"depth": level.depth, "log10_signal": level.log10_signal, "layers": [row["name"] for row in level.rows]}
            for level in self.fall.levels
        ]
        decades = self.fall.decades.point
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "step": self.step,
            "fall": _plain(decades),
            "profile": self.profile,
            "levels": levels,
            "times": [
                {"layer": profile.layer.name, "call": profile.call, "dx_norm": [*map(_plain, profile.dx_T)]}
                for profile in self.times
            ],
            "findings": [finding.to_dict() for finding in self.findings],
            "notes": self.notes,
        }

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def __repr__(self) -> str:
        """The verdict, and the kinds of the findings, in one line."""
        kinds = ", ".join(finding.kind for finding in self.findings)
        return f"Diagnosis({self.verdict} at step {self.step}{f': {kinds}' if kinds else ''})"

    def frame(self) -> pd.DataFrame:
        """One row a depth, from the loss down: `depth signal calls strongest`, the last the name of the call with the
        largest signal."""
        levels = self.fall.levels
        return pd.DataFrame(
            {
                "depth": [level.depth for level in levels],
                "signal": [10**level.log10_signal for level in levels],
                "calls": [len(level.rows) for level in levels],
                "strongest": [level.strongest["name"] for level in levels],
            }
        )

    def plot(self) -> "Picture":
        """The gradient over the depth of the network. Raises ValueError with fewer than two layers that have one."""
        from vgexp.figures import fall_picture

        if len(self.fall.levels) < 2:
            raise ValueError("fewer than two layers have a gradient: there is no profile to draw")
        return fall_picture(self.frame())

    def _repr_html_(self) -> str:
        """The verdict, the findings as a table, and the gradient over depth, for notebooks."""
        rows = [
            {
                "finding": found.kind,
                "in": span(found.layers),
                "evidence": found.evidence,
                "try": "".join(map(str, found.remedies[:1])),
            }
            for found in self.findings
        ]
        table = pd.DataFrame(rows).to_html(index=False, justify="left") if rows else ""
        picture = ""
        if len(self.fall.levels) > 1:
            image = base64.b64encode(self.plot()._repr_png_()).decode()
            picture = f'<img alt="{escape(self.profile)}" src="data:image/png;base64,{image}">'
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        head = f"<p><b>{self.verdict}</b> (step {self.step}){escape(f': {self.profile}' if self.profile else '')}</p>"
        return head + table + notes + picture

    def _headline(self) -> str:
        first = f"{self.verdict} (step {self.step})"
        if not self.findings:
            rest = UNDECIDED if self.verdict == "undecided" else ""
            return f"{first}: {self.profile}{rest}" if self.profile else first
        return f"{first}: {self.findings[0].evidence}"

    def __str__(self) -> str:
        blocks = [str(finding).split("\n", 1) for finding in self.findings]
        lines = [self._headline(), *(rest for _, rest in blocks[:1])]
        for head, rest in blocks[1:]:
            lines += [f"also {head}", rest]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _plain(number: float) -> float | None:
    """A number as JSON knows it, which has none for what is not finite."""
    return float(number) if math.isfinite(number) else None


UNDECIDED = ". That is between healthy (within 1.5) and a fault (above 2): look again after some training"


def without_skipped(last: Evidence) -> Evidence:
    """A step, where what did not run, but did and had a gradient at an earlier recorded step, is not disconnected; nor
    are whole modules that ran for nothing and had one, as those of parts that take turns."""
    idle = [name for name, why in last.disconnected.items() if why == NEVER_CALLED and name in last.before]
    blocks = {block for name in idle for block in accumulate(name.split(".")[:-1], "{}.{}".format)}
    beside = [name for name in last.disconnected if name in last.before and owner(name) in blocks]
    skipped = dict.fromkeys([*idle, *beside])
    resting = [name for name in last.resting if name not in skipped]
    kept = {name: why for name, why in last.disconnected.items() if name not in {*skipped, *resting}}
    return last._replace(disconnected=kept, skipped=[*last.skipped, *skipped], resting=resting)


def conclude(steps: Sequence[Evidence]) -> Diagnosis:
    """The diagnosis of the last of some recorded steps. Units count as silent if they were in all of them."""
    last = without_skipped(steps[-1])
    wide = last.closer.double or last
    fall = fall_of(with_open_gates(wide))
    broken, too_large = not_finite(last), skipped_update(last)
    opened = any(opening(step) for step in steps[:-1])  # what is below has little for some steps
    found = [*([] if too_large else broken), *disconnected(last), *constant(last), *not_updated(steps)]
    found += [*silent(steps), *saturated(last)]
    if not last.precision or last.closer.double is not None:
        found += [*([] if opened else trend(wide, fall)), *through_time(wide)]
        if not broken or wide is not last:  # rectifiers make 0 of NaN
            found += dead(wide)
    if last.precision and not broken:  # a fault in float64 too comes first
        found += lost_precision(last)
    found.sort(key=lambda finding: FINDING_KINDS.index(finding.kind))
    if overflowed(last) and any(finding.kind == "exploding" for finding in found):  # it makes what is not finite
        found = [finding for finding in found if finding.kind != "nan"]
    saturation = max((row["saturation"] for row in bounded(last)), default=0.0)
    notes = [*too_large, *(f"time is not measured: the input of {name} requires no gradient" for name in last.untimed)]
    if last.opened:
        notes.append(f"{span(last.opened)} started at 0 and is opening: what it holds back is not counted")
    if last.skipped:
        notes.append(f"{span(last.skipped)} did not run at this step, but did at another and had a gradient")
    if last.resting:
        names = span(last.resting, noun="in all")
        notes.append(
            f"no gradient reaches {names} at this step, but did at another: the loss of a part that takes turns does "
            "not read the others; if it is meant to, look for a detach"
        )
    if empty := without_examples(last):
        notes.append(f"{span(empty)} ran, but on no example of this batch: an expert without a token gets no gradient")
    if last.unseen and not found:
        notes.append("no layer was seen to run: weights are used without calling their modules, so there is no profile")
    if last.loss == 0:
        found = [finding for finding in found if finding.kind != "dead"]
        notes.append("the loss is exactly 0: this batch has nothing left to teach")
    return Diagnosis(found, fall, last.step, saturation, list(wide.times), [*opening(wide), *notes])
