"""Sequences: what the gradient over the time steps of a recurrent layer says."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import nn

from vgexp.watching.hooks.recurrence import TimeProfile
from vgexp.watching.verdicts.evidence import Evidence
from vgexp.watching.verdicts.falls import BRANCH
from vgexp.watching.verdicts.findings import Finding
from vgexp.watching.verdicts.remedies import Remedy, advice
from vgexp.watching.verdicts.trends import THROUGH_TIME

SHOWN = 5
"""Time steps whose gradients a finding lists."""
GATES = {
    "LSTM": "a forget bias of 1 or 2 (Jozefowicz et al., 2015)",
    "GRU": "a bias of 1 or 2 at the update gate, which keeps the state as the forget gate of an LSTM does",
}
"""What makes a layer remember, where it has a gate for that."""


class Memory(NamedTuple):
    """What a gradient loses over time steps."""

    decades: float
    """From the end that is nearer to the loss to the other, or to the middle if the layer runs both ways: the larger of
    two steps that are in the middle."""
    top: int
    """The time step that it falls from, and"""
    bottom: int
    """the last one on the way where it is not 0."""
    zeros: int
    """The steps beyond that one, in all of which it is exactly 0."""


def memory(profile: TimeProfile) -> Memory | None:
    """What the gradient loses over time; None with fewer than two steps, where no step has a gradient, and where one on
    the way is not finite.

    Steps that no loss depends on are left out: in one direction those after the last that has a gradient, as padding.
    Where examples end at different steps, they are counted from their ends.
    """
    dx_T = np.array(along(profile))
    alive = np.flatnonzero((dx_T > 0) & np.isfinite(dx_T))
    module = profile.layer.module
    if len(dx_T) < 2 or not len(alive):
        return None
    if isinstance(module, nn.RNNBase) and module.bidirectional:
        top = max(alive[0], alive[-1], key=lambda t: dx_T[t])
        between = alive[0] + alive[-1]
        end = max(between // 2, between - between // 2, key=lambda t: dx_T[t])
    else:
        top, end = alive[-1], 0
    way = np.arange(top, end - 1, -1) if end <= top else np.arange(top, end + 1)
    if not np.isfinite(dx_T[way]).all():
        return None
    reached = np.flatnonzero(dx_T[way] > 0)[-1]
    bottom = way[reached]
    return Memory(math.log10(dx_T[top] / dx_T[bottom]), int(top), int(bottom), int(len(way) - 1 - reached))


def along(profile: TimeProfile) -> Sequence[float]:
    """The gradient over the steps that are compared: where examples end at different ones, with their ends together."""
    return profile.ending_T or profile.dx_T


def through_time(evidence: Evidence) -> list[Finding]:
    """Recurrent layers over whose time steps the gradient vanishes or explodes, the worst call of each."""
    worst: dict[str, tuple[TimeProfile, Memory]] = {}
    for profile in evidence.times:
        found = memory(profile)
        if found is None or (abs(found.decades) <= BRANCH and not found.zeros):
            continue
        known = worst.get(profile.layer.name)
        if known is None or _loss(found) > _loss(known[1]):
            worst[profile.layer.name] = profile, found
    return [_finding(*found) for found in worst.values()]


def _loss(memory: Memory) -> tuple[int, float]:
    return memory.zeros, abs(memory.decades)


def _finding(profile: TimeProfile, lost: Memory) -> Finding:
    word = "exploding" if lost.decades < -BRANCH else "vanishing"
    verb = "grows" if lost.decades < 0 else "falls"
    dx_T = along(profile)
    name, steps = profile.layer.name, len(dx_T)
    call = f", call {profile.call}" if profile.call else ""
    words = (
        f"through time the gradient {verb} by {abs(lost.decades):.2g} decades over the {steps} steps of {name}{call}, "
        f"from {dx_T[lost.top]:.2g} at step {lost.top + 1} to {dx_T[lost.bottom]:.2g} at step {lost.bottom + 1}"
    )
    if lost.zeros:
        words += f"; in {lost.zeros} beyond it is exactly 0"
    words += "; examples end at different steps and are counted from there" if profile.ending_T else ""
    shown = sorted({round(t) for t in np.linspace(0, steps - 1, min(SHOWN, steps))})
    words += f" (step: norm of dx; {', '.join(f'{t + 1}: {dx_T[t]:.2g}' for t in shown)})"
    return Finding(word, [name], words, _remedies(word, profile))


def _remedies(word: str, profile: TimeProfile) -> list[Remedy]:
    module = profile.layer.module
    gate = GATES.get(profile.layer.kind) if word == "vanishing" else None
    if gate is None or not isinstance(module, nn.RNNBase) or not module.bias:
        return advice(THROUGH_TIME[word])
    units = f"[{module.hidden_size}:{2 * module.hidden_size}]"
    return advice(
        f"{gate}: fill {profile.layer.name}.bias_hh_l0{units} with it, and so in each layer and direction",
        "a loss that reads every step, as by a mean over time or attention, or shorter sequences",
    )
