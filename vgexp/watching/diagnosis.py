"""Diagnosis: what recorded steps of any model say about its gradients, in one word and with the numbers.

Legend: L layers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from vgexp.results import verdict
from vgexp.watching.evidence import Evidence
from vgexp.watching.falls import NOTHING, Fall, fall_of
from vgexp.watching.findings import (
    FINDING_KINDS,
    Finding,
    dead,
    disconnected,
    not_finite,
    overflowed,
    saturated,
    silent,
    span,
    trend,
)


@dataclass(frozen=True)
class Diagnosis:
    """The findings, worst first, and how the gradient changes over depth."""

    findings: list[Finding] = field(default_factory=list)
    fall: Fall = NOTHING
    """How the gradient changes over the depth of the network."""
    step: int = 0
    """The recorded step that it is of."""

    @property
    def verdict(self) -> str:
        """The worst finding's kind; without a finding `healthy`, or `undecided` by the fall, which is none."""
        if self.findings:
            return self.findings[0].kind
        return "undecided" if len(self.fall.levels) > 1 and verdict(self.fall.decades) != "healthy" else "healthy"

    @property
    def profile(self) -> str:
        """How the gradient changes over depth, in words."""
        levels = self.fall.levels
        if len(levels) < 2:
            return "fewer than two layers with a gradient: there is no profile"
        decades = self.fall.decades.point
        factor = np.float64(10) ** -(decades / (len(levels) - 1))
        words = f"dz changes by {factor:.3g} a layer towards the input over {len(levels)} layers in a row"
        return f"{words}, {'falls' if decades > 0 else 'grows'} by {abs(decades):.2g} decades"

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, as JSON knows it."""
        findings = [finding.to_dict() for finding in self.findings]
        return {"verdict": self.verdict, "step": self.step, "profile": self.profile, "findings": findings}

    def to_json(self) -> str:
        """The verdict, the step, the profile and the findings as JSON."""
        return json.dumps(self.to_dict(), indent=1)

    def __repr__(self) -> str:
        """The verdict, and the kinds of the findings, in one line."""
        kinds = ", ".join(finding.kind for finding in self.findings)
        return f"Diagnosis({self.verdict} at step {self.step}{f': {kinds}' if kinds else ''})"

    def _repr_html_(self) -> str:
        """The verdict, and the findings as a table, for notebooks."""
        rows = [(found.kind, span(found.layers), found.evidence, found.remedy) for found in self.findings]
        table = pd.DataFrame(rows, columns=["finding", "in", "evidence", "try"]).to_html(index=False) if rows else ""
        return f"<p>{escape(f'{self.verdict} (step {self.step}): {self.profile}')}</p>{table}"

    def __str__(self) -> str:
        return "\n".join([f"{self.verdict} (step {self.step}): {self.profile}", *map(str, self.findings)])


def conclude(steps: Sequence[Evidence]) -> Diagnosis:
    """The diagnosis of the last of some recorded steps. Units count as silent if they were in all of them."""
    last = steps[-1]
    fall = fall_of(last)
    found = [
        *not_finite(last),
        *trend(last, fall),
        *dead(last),
        *disconnected(last),
        *silent(steps),
        *saturated(last),
    ]
    found.sort(key=lambda finding: FINDING_KINDS.index(finding.kind))
    if overflowed(last):  # then exploding is the cause, and infinite numbers follow from it
        found = [finding for finding in found if finding.kind != "nan"]
    return Diagnosis(found, fall, last.step)
