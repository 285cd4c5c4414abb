"""Trials: a remedy that names a number is applied to the network that it is for, and kept if the evidence improves."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from vgexp.watching.tracing.batches import split
from vgexp.watching.verdicts.diagnosis import Diagnosis
from vgexp.watching.verdicts.findings import Finding
from vgexp.watching.verdicts.remedies import Remedy, applied, scaled

IMPROVED = 0.5
"""What is left of the evidence, at most, where a remedy has helped."""


def tried(diagnosis: Diagnosis, model: nn.Module, again: Callable[[float], Diagnosis]) -> Diagnosis:
    """The diagnosis with what its remedies did when they were tried; those that did not help, or that only brought up
    something else, are gone. `again(factor)` diagnoses the model anew, its inputs times a factor."""
    found = [_of_finding(finding, diagnosis, model, again) for finding in diagnosis.findings]
    return replace(diagnosis, findings=found)


def _of_finding(finding: Finding, before: Diagnosis, model: nn.Module, again: Callable[[float], Diagnosis]) -> Finding:
    remedies: list[Remedy] = []
    for remedy in finding.remedies:
        if not remedy.has_number:
            remedies.append(remedy)
            continue
        try:
            with applied(remedy, model):
                after = again(remedy.inputs)
        except Exception:  # whatever a model or a loss of somebody's makes of other numbers: no help
            continue
        new = {found.kind for found in after.findings} - {found.kind for found in before.findings}
        was, is_ = before.measure(finding.kind), after.measure(finding.kind)
        if not new and is_ <= IMPROVED * was:
            remedies.append(replace(remedy, tried=f"tried on this batch: {after.in_words(finding.kind)}"))
    return replace(finding, remedies=remedies)


def rescaled(model: nn.Module, batch: Any, factor: float, own_loss: bool) -> Any:
    """A batch with the inputs of its model times a factor, and not its targets. `own_loss` says that the model takes
    the batch as it is, to say its loss itself: what its `forward` does not name are then the targets of a dict."""
    if factor == 1.0:
        return batch
    if isinstance(batch, Mapping) or not own_loss:
        inputs, targets = split(model, batch)
        return {**batch, **scaled(inputs, factor)} if own_loss else (scaled(inputs, factor), targets)
    if isinstance(batch, tuple | list) and len(batch) > 1:
        return (*(scaled(inputs, factor) for inputs in batch[:-1]), batch[-1])
    return scaled(batch, factor)
