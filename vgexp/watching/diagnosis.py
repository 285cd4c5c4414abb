"""Diagnosis: what recorded steps of any model say about its gradients, in one word and with the numbers.

Legend: L layers.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from vgexp.results import Estimate, fall
from vgexp.watching.evidence import Evidence
from vgexp.watching.findings import (
    FINDING_KINDS,
    Finding,
    dead,
    disconnected,
    graded,
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
    profile: str = ""
    """How dz changes over the layers, in words."""
    step: int = 0
    """The recorded step that it is of."""

    @property
    def verdict(self) -> str:
        """The worst finding's kind, or `healthy`."""
        return self.findings[0].kind if self.findings else "healthy"

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
    decades, words = fall_of_dz(last)
    found = [
        *not_finite(last),
        *trend(last, decades),
        *dead(last),
        *disconnected(last),
        *silent(steps),
        *saturated(last),
    ]
    found.sort(key=lambda finding: FINDING_KINDS.index(finding.kind))
    if overflowed(last):  # then exploding is the cause, and infinite numbers follow from it
        found = [finding for finding in found if finding.kind != "nan"]
    return Diagnosis(found, words, last.step)


def fall_of_dz(evidence: Evidence) -> tuple[Estimate, str]:
    """The fall of ||dz|| over the batch, in decades from output to input, and how dz changes over the layers in words.

    It is the difference between the last and the first call with a gradient, in the order of execution. One network has
    no interval: its point decides.
    """
    dz_L = np.array([row["dz_norm"] for row in graded(evidence)])
    if len(dz_L) < 2:
        return Estimate(math.nan, math.nan, math.nan, 1), f"{len(dz_L)} layer with a gradient has no profile"
    found = fall(np.log10(dz_L)[None])
    factor = np.float64(10) ** -(found.point / (len(dz_L) - 1))
    words = f"dz changes by {factor:.3g} a layer towards the input over {len(dz_L)} layers"
    return found, f"{words}, falls {found.point:.2g} decades"
