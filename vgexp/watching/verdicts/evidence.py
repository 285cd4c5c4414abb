"""Evidence: what the diagnosis reads of one recorded step.

Legend: N units.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from vgexp.watching.hooks.calls import NARROW, Call
from vgexp.watching.hooks.descent import LOSS, numbers, operations
from vgexp.watching.hooks.graph import is_norm
from vgexp.watching.hooks.layers import Layer, bare, names_of, owner
from vgexp.watching.hooks.observations import Observation
from vgexp.watching.hooks.recurrence import TimeProfile
from vgexp.watching.hooks.updates import Holdings
from vgexp.watching.tracing.breaks import Break
from vgexp.watching.tracing.cuts import Cut
from vgexp.watching.tracing.drops import Drop
from vgexp.watching.tracing.extents import extent
from vgexp.watching.tracing.precision import next_to_zero

Row: TypeAlias = dict[str, Any]
"""What is known of one call: the columns of a monitor's frame, and

- `broken`: the columns that were measured and are not finite,
- `index`: the call's number within the step, `above`: the numbers of those from which its gradient came directly,
- `operations`: what autograd's graph has between those and itself, as far as it can change a gradient's size,
- `plumbing`: the rest of what it has there,
- `twin`: whether a module inside its own put out the same tensor, which counts once,
- `empty`: whether it put out no entry, as where an expert gets no token,
- `inputs`: `numbers`, `indices` or `none`: what its module was called with; the latter two are tables,
- `dtype`: the type of dz; `zeros`: the fraction of its entries that are exactly 0, in types with a narrow range,
- `underflow_below`: below this, dz may have underflowed,
- `law`: what theory knows the activation as, with its numbers; None where it does not, or where there are several,
- `fan_in`: inputs of one unit; 0 where theory has no scale for the layer,
- `off`: for each piecewise linear activation, which units were off on every example, and which on none, (N,) each.
"""


class Closer(NamedTuple):
    """What only a second look at the batch can tell."""

    broken: Break | None = None
    """The operation that made the first number that is not finite."""
    cuts: Mapping[str, Cut] = MappingProxyType({})
    """By the name of what is disconnected, where it leaves the graph."""
    zeroed: str = ""
    """The operation at which the gradient of dead layers becomes exactly 0."""
    drop: Drop | None = None
    """The operation that loses most at a cliff."""
    constant: Sequence[str] = ()
    """Where the loss takes a derivative as a constant, in words."""
    double: "Evidence | None" = None
    """The same of a copy in float64, where the network runs in a type with a narrow range."""


class Evidence(NamedTuple):
    """One recorded step."""

    step: int
    rows: list[Row]
    absent: dict[str, str]
    """Layers without a measured gradient, and why."""
    disconnected: dict[str, str]
    """Modules none of whose trainable parameters has a gradient, and single parameters without one; and why."""
    gates: list[str]
    """Parameters that are 0 and have a gradient: what they multiply starts closed."""
    others: bool = False
    """Whether gradients of another function were seen, and left out: those of an inner `torch.autograd.grad`."""
    unseen: bool = False
    """Whether no layer was seen to run."""
    loss: float = math.nan
    """The loss, where it is known."""
    scale: float = 1.0
    """The factor of the loss that a scaler has, which is divided out."""
    idle_norms: int = 0
    """Norms over the batch that were in evaluation mode, where that is known."""
    precision: str = ""
    """What low precision loses of dz, in words."""
    holdings: Holdings | None = None
    """What optimizers do not update; None where none was given."""
    unmoved: Mapping[str, int] = MappingProxyType({})
    """Layers whose weights have not changed since a recorded step, and that step."""
    opened: Sequence[str] = ()
    """Layers whose weights were all 0 at an earlier recorded step, and have grown since the last one."""
    leftover: Sequence[str] = ()
    """Layers to whose gradients of the step before this step's were added."""
    times: Sequence[TimeProfile] = ()
    """The gradient over the time steps of recurrent layers."""
    untimed: Sequence[str] = ()
    """Recurrent layers whose input requires no gradient."""
    skipped: Sequence[str] = ()
    """What did not run by chance, and got a gradient when it did."""
    before: Collection[str] = ()
    """What has no gradient, and had one at an earlier recorded step."""
    resting: Sequence[str] = ()
    """Modules all of which has no gradient, while some of it had one at an earlier recorded step."""
    severed: bool = False
    """Whether no parameter has a gradient at all."""
    closer: Closer = Closer()
    """What a closer look found."""


NEVER_CALLED = "never called"
ALONE = "the loss does not depend on it"
"""Why a parameter has no gradient, while others of its module have one."""
_PLUMBING = (
    "View UnsafeView Reshape ReshapeAlias T Transpose Permute Unsqueeze Squeeze Expand Clone ToCopy Alias Select "
    "Slice Split SplitWithSizes Unbind Unfold AsStrided CopySlices Cat Stack Add Sub Rsub Mul Addmm Mm Bmm Mv "
    "Convolution Mean Sum AccumulateGrad Neg Repeat Narrow Chunk UnsafeSplit ConstantPadNd NativeDropout"
)
PLUMBING = frozenset(_PLUMBING.split())
"""Nodes that nearly every network has between its layers: to name them explains nothing."""


def gather(observation: Observation, layers: Sequence[Layer]) -> Evidence:
    """The evidence of an observation that still has its calls. `layers` are those of the model."""
    rows = observation.rows()
    for row, call in zip(rows, observation.calls, strict=True):
        way = call.way or LOSS
        row |= {
            "index": call.index,
            "above": numbers(way.above),
            "operations": [name for name in operations(way.through) if name not in PLUMBING],
            "plumbing": [name for name in operations(way.through) if name in PLUMBING],
            "twin": call.twin is not None,
            "empty": call.empty,
            "inputs": call.inputs,
            "dtype": call.dtype,
            "zeros": float(call.zeros) / max(call.counts.get("dz_rms", 0), 1),
            "underflow_below": call.underflow_below,
            "law": call.law,
            "fan_in": call.layer.fan_in,
            "off": [tuple(torch.as_tensor(units_N).cpu().numpy() for units_N in pair) for pair in call.off],
        }
    absent: dict[str, str] = {}
    for layer in layers:
        own = [call for call in observation.calls if call.layer is layer]
        has_gradient = layer.name in observation.graded
        if any(call.reached for call in own) or (own and layer.name in observation.frozen):
            continue
        if not own:
            why = "its weights are used without calling it" if has_gradient else NEVER_CALLED
        elif has_gradient:
            why = "its weights have a gradient, but the first tensor that it puts out has none"
        elif any(call.hooked for call in own):
            why = "called, but no loss depends on what it put out"
        else:
            why = "called without a graph (no_grad or detach)"
        absent[layer.name] = why
    disconnected = {
        name: absent.get(name if owner(name) in observation.graded else owner(name), absent.get(name, ALONE))
        for name in observation.ungraded
    }
    narrow = [alone(row, call) for row, call in zip(rows, observation.calls, strict=True) if call.dtype in NARROW]
    precision = next_to_zero([row for row in narrow if row["entries"]]) or ""
    return Evidence(
        observation.step,
        rows,
        absent,
        disconnected,
        observation.gates,
        others=observation.others,
        scale=observation.scale,
        precision=precision,
        holdings=observation.holdings,
        unmoved=observation.unmoved,
        opened=observation.opened,
        leftover=observation.leftover,
        times=observation.times,
        untimed=observation.untimed,
    )


def normalised(row: Row) -> bool:
    """Whether a norm follows the call: then the scale of its weights changes nothing."""
    return any(map(is_norm, row["operations"]))


def alone(row: Row, call: Call) -> Row:
    """A call in a type with a narrow range as `precision` judges it, by the numbers that were in memory."""
    norm, entries = float(call.totals.get("dz_rms", 0.0)), call.counts.get("dz_rms", 0)
    return {**row, "norm": norm, "entries": entries}


def closed_gates(model: nn.Module) -> list[str]:
    """Parameters that are 0 and have a gradient, biases aside: what they multiply starts closed."""
    return [
        name
        for name, p in bare(model).named_parameters()
        if p.grad is not None and not name.endswith("bias") and extent(p).zero and not extent(p.grad).zero
    ]


def ungraded(trainable: Mapping[str, nn.Parameter], fed: Collection[int]) -> list[str]:
    """The names of trainable parameters to which no backward pass brought a gradient, as `names_of` has them. None
    where no pass brought any: then gradients are taken by other means."""
    lost = {id(parameter) for parameter in trainable.values()}.difference(fed) if fed else set()
    return names_of(trainable, lost) if lost else []
