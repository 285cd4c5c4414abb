"""Findings: one thing that is wrong each: where, by which numbers, and what to try."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vgexp.watching.verdicts.evidence import Row
from vgexp.watching.verdicts.remedies import Remedy

FINDING_KINDS = (
    "nan",
    "disconnected",
    "dead",
    "cliff",
    "vanishing",
    "exploding",
    "not_updated",
    "saturated",
    "silent",
)
"""Worst first."""
OF_PARAMETERS = ("disconnected", "not_updated")
"""Kinds that are found of parameters, and of layers where all that they have is concerned."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    kind: str
    layers: list[str]
    """Names of modules, or of parameters."""
    evidence: str
    """The numbers, in a sentence."""
    remedies: list[Remedy] = field(default_factory=list)
    """The likeliest to help first."""

    @property
    def remedy(self) -> str:
        """What to try first, in words."""
        return self.remedies[0].words if self.remedies else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, as JSON knows it."""
        remedies = [remedy.to_dict() for remedy in self.remedies]
        return {"kind": self.kind, "layers": self.layers, "evidence": self.evidence, "remedies": remedies}

    def __str__(self) -> str:
        tries = [f"  {word:<6} {remedy}" for word, remedy in zip(_words(), self.remedies, strict=False)]
        noun = "in all" if self.kind in OF_PARAMETERS else "layers"
        return "\n".join([f"{self.kind}: {self.evidence}", f"  where  {span(self.layers, noun=noun)}", *tries])


def _words() -> Iterable[str]:
    yield "try"
    while True:
        yield "or"


def where(row: Row) -> str:
    """A row in words."""
    call = f", call {row['call']}" if row["call"] else ""
    return f"{row['name']} (layer {row['layer']}{call})"


def change(top: Row, bottom: Row) -> str:
    """The signal of two calls in words."""
    return f"from {top['dz_norm']:.2g} at {where(top)} to {bottom['dz_norm']:.2g} at {where(bottom)}"


def unique(names: Iterable[str]) -> list[str]:
    """Each name once, in order."""
    return list(dict.fromkeys(names))


def span(names: Sequence[str], shown: int = 6, noun: str = "layers") -> str:
    """Names for a line of text: the first, the last, and how many."""
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[: shown // 2])} ... {', '.join(names[-2:])} ({len(names)} {noun})"
