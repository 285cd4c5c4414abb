"""Evidence: what the diagnosis reads of one recorded step.

Legend: N units.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from vgexp.watching.layers import Layer
from vgexp.watching.observations import Observation

Row: TypeAlias = dict[str, Any]
"""What is known of one call: the columns of a monitor's frame, and

- `broken`: the columns that were measured and are not finite,
- `dz_norm`: Euclidean norm of dz over the whole batch,
- `underflow_below`: below this, dz may have underflowed,
- `fan_in`: inputs of one unit; 0 where theory has no scale for the layer,
- `off`: for each piecewise linear activation, which units were off on every example, and which on none, (N,) each.
"""


class Evidence(NamedTuple):
    """One recorded step."""

    step: int
    rows: list[Row]
    absent: dict[str, str]
    """Layers without a measured gradient, and why."""
    disconnected: dict[str, str]
    """Those of them that are trainable and whose weights have no gradient either, and why."""
    gates: list[str]
    """Parameters that are 0 and have a gradient: what they multiply starts closed."""
    trouble: tuple[str, str] | None = None
    """Where something first was not finite, found by looking closer, and how."""


def gather(observation: Observation, layers: Sequence[Layer]) -> Evidence:
    """The evidence of an observation that still has its calls. `layers` are those of the model."""
    rows = observation.rows()
    for row, call in zip(rows, observation.calls, strict=True):
        off = [tuple(torch.as_tensor(units_N).cpu().numpy() for units_N in pair) for pair in call.off]
        norm = row["dz_rms"] * math.sqrt(call.counts.get("dz_rms", 0))
        row |= {"dz_norm": norm, "underflow_below": call.underflow_below, "fan_in": call.layer.fan_in, "off": off}
    absent, disconnected = {}, {}
    everything = [*observation.calls, *observation.idle]
    graded = {call.layer for call, dw in zip(everything, observation.column("dw_rms"), strict=True) if dw > 0}
    for layer in layers:
        own = [call for call in observation.calls if call.layer is layer]
        has_gradient = layer in graded or layer.tied != ""
        if any(call.reached for call in own) or (own and layer.frozen):
            continue
        if not own:
            why = "its weights are used without calling it" if has_gradient else "never called"
        elif has_gradient:
            why = "its weights have a gradient, but the first tensor that it puts out has none"
        elif any(call.hooked for call in own):
            why = "called, but no loss depends on what it put out"
        else:
            why = "called without a graph (no_grad or detach)"
        absent[layer.name] = why
        if not (layer.frozen or has_gradient):
            disconnected[layer.name] = why
    return Evidence(observation.step, rows, absent, disconnected, observation.gates)


def closed_gates(model: nn.Module) -> list[str]:
    """Parameters that are 0 and have a gradient, biases aside: what they multiply starts closed."""
    return [
        name
        for name, p in model.named_parameters()
        if p.grad is not None and not name.endswith("bias") and not p.any() and bool(p.grad.any())
    ]
