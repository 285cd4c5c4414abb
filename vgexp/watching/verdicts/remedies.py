"""Remedies: what to try against a finding, computed from theory where theory applies.

A remedy that names a number is one that can be applied: `applied` does so to a model, for a trial.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

import torch
from torch import nn

from vgexp.networks.activations import Activation
from vgexp.numerics import critical_sigma_w, total_norm
from vgexp.watching.hooks.layers import layers_of
from vgexp.watching.verdicts.evidence import Row, normalised

CRITICAL_WITHIN = 0.05
"""A scale of the weights that is closer than this to the critical one, relative to it, is not to blame."""
UNSCALED = 2.0
"""Inputs of a saturated layer whose root mean square is above this are to blame, not its weights."""
TINY = 0.1
"""Below this sigma_w, weights in front of a norm are small enough to make gradients large."""
SHRINKING = ("relu", "leaky_relu", "identity", "linear")
"""Piecewise linear activations: weights below the critical scale shrink signals both ways, above it they grow."""


@dataclass(frozen=True)
class Remedy:
    """One thing to try."""

    words: str
    weights: Mapping[str, float] = field(default_factory=dict)
    """The standard deviation that the weights of each layer should have."""
    inputs: float = 1.0
    """The factor by which the model's inputs should be multiplied."""
    tried: str = ""
    """What it did when it was tried on the batch of the diagnosis; empty where it was not."""

    @property
    def has_number(self) -> bool:
        """Whether it can be applied as it stands."""
        return bool(self.weights) or self.inputs != 1.0

    def to_dict(self) -> dict[str, Any]:
        """Plain Python, as JSON knows it."""
        return asdict(self) | {"weights": dict(self.weights)}

    def __str__(self) -> str:
        return f"{self.words} ({self.tried})" if self.tried else self.words


def advice(*words: str) -> list[Remedy]:
    """Remedies in words alone."""
    return [Remedy(each) for each in words]


def remedies(kind: str, rows: Sequence[Row]) -> list[Remedy]:
    """What to try against vanishing, exploding or saturated, from the calls of a network: first the scales that theory
    knows, where they are off in the direction of the fault, then what helps in general."""
    computed = [tiny(rows) if kind == "exploding" else _inputs(rows), _weights(kind, rows)]
    return [remedy for remedy in computed if remedy is not None] + advice(_general(kind, rows))


@cache
def critical(law: Activation | None) -> float | None:
    """The sigma_w at which gradients of a wide network neither vanish nor explode, without biases; None for activations
    that are not 0 at 0, which it would saturate, as sigmoid."""
    return critical_sigma_w(law) if law is not None and float(law.phi(torch.zeros(1))) == 0 else None


def sigma_w(row: Row) -> float:
    """The standard deviation of the weights times the root of their fan-in."""
    return row["w_rms"] * math.sqrt(row["fan_in"])


def tiny(rows: Iterable[Row]) -> Remedy | None:
    """Weights at unit scale, where they are so small that a norm divides by what is nearly 0: its derivative is as
    large as they are small."""
    found = [row for row in rows if row["fan_in"] and normalised(row) and 0 < sigma_w(row) < TINY]
    if not found:
        return None
    low, high = min(map(sigma_w, found)), max(map(sigma_w, found))
    now = f"{low:.2g}" if low == high else f"{low:.2g} to {high:.2g}"
    words = f"larger weights in front of the norm, which divides by what they put out: sigma_w = 1, it is {now} now"
    return Remedy(words, {row["name"]: row["fan_in"] ** -0.5 for row in found})


def _weights(kind: str, rows: Iterable[Row]) -> Remedy | None:
    """Each layer's weights at the critical scale for its own fan-in, where that goes against the fault."""
    wanted: dict[str, float] = {}
    found: dict[tuple[str, float], list[Row]] = defaultdict(list)
    for row in rows:
        goal = critical(row["law"]) if row["fan_in"] and 0 < row["w_rms"] < math.inf else None
        if goal is None or normalised(row) or not _against(kind, row["activation"], sigma_w(row) / goal):
            continue
        wanted[row["name"]] = goal / math.sqrt(row["fan_in"])
        found[row["activation"], goal].append(row)
    words = [_scale_in_words(activation, goal, each) for (activation, goal), each in found.items()]
    return Remedy("; ".join(words), wanted) if words else None


def _against(kind: str, activation: str, ratio: float) -> bool:
    """Whether to bring weights to the critical scale, of which they have this ratio, goes against a fault."""
    if abs(ratio - 1) <= CRITICAL_WITHIN:
        return False
    if kind == "vanishing":
        return ratio < 1 or activation not in SHRINKING
    return ratio > 1


def _scale_in_words(activation: str, goal: float, rows: Sequence[Row]) -> str:
    fans = sorted({row["fan_in"] for row in rows})
    stds = [f"{goal / math.sqrt(fan_in):.3g} at fan-in {fan_in:g}" for fan_in in fans]
    shown = ", ".join([*stds[:3], *(["..."] if len(stds) > 3 else [])])
    now = [sigma_w(row) for row in rows]
    low, high = f"{min(now):.3g}", f"{max(now):.3g}"
    is_now = low if low == high else f"{low} to {high}"
    return f"weights of std {shown} before {activation}: sigma_w = {goal:.3g} is critical, it is {is_now} now"


def _inputs(rows: Sequence[Row]) -> Remedy | None:
    """Inputs at unit scale, where those of a saturated layer with sane weights are far larger."""
    further = {number for row in rows for number in row["above"]}
    first = [row for row in rows if row["index"] not in further and row["fan_in"] and row["saturation"] > 0.5]
    sizes = [row["z_rms"] / sigma_w(row) for row in first if sigma_w(row) > 0]
    if not sizes or max(sizes) < UNSCALED:
        return None
    rms = max(sizes)
    words = f"scale the inputs to mean 0 and standard deviation 1: their root mean square is {rms:.3g}"
    return Remedy(words, inputs=1 / rms)


def _general(kind: str, rows: Sequence[Row]) -> str:
    norms, skips = any(normalised(row) for row in rows), any(_skipped(row) for row in rows)
    activations = {row["activation"] for row in rows}
    if kind == "vanishing":
        missing = [*([] if skips else ["residual connections"]), *([] if norms else ["normalisation"])]
        help_ = " or ".join(missing) or "an optimizer that scales each weight's step, as Adam does"
        bounded = activations & {"sigmoid", "tanh", "hardsigmoid", "hardtanh"}
        return f"{help_}; an activation like relu with He's initialisation" if bounded else help_
    if kind == "exploding" and skips:
        return "smaller weights at the end of each branch" + (", or fewer layers" if norms else ", or a norm in it")
    if kind == "exploding":
        return "residual connections, or fewer layers" if norms else "smaller weights, residual connections, or a norm"
    return "smaller weights, normalisation, or a lower learning rate"


def _skipped(row: Row) -> bool:
    """Whether a call's gradient comes along several ways, one of which is a sum."""
    return len(row["above"]) > 1 and "Add" in row["plumbing"]


@contextmanager
def applied(remedy: Remedy, model: nn.Module) -> Iterator[None]:
    """The model with the weights of a remedy: scaled to its standard deviations, and as they were at the end. Weights
    that are computed, by a parametrization, stay as they are."""
    modules = {layer.name: layer.module for layer in layers_of(model)}
    found = {name: getattr(modules[name], "weight", None) for name in remedy.weights if name in modules}
    weights = {name: weight for name, weight in found.items() if isinstance(weight, nn.Parameter)}
    kept = {name: weight.detach().clone() for name, weight in weights.items()}
    try:
        with torch.no_grad():
            for name, weight in weights.items():
                weight *= remedy.weights[name] / (total_norm(weight) / math.sqrt(weight.numel()))
        torch.clear_autocast_cache()  # it may hold the weights as they were
        yield
    finally:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(kept[name])
        torch.clear_autocast_cache()


def scaled(inputs: Any, factor: float) -> Any:
    """Inputs with every floating-point tensor times a factor: through tuples, lists and dicts."""
    if isinstance(inputs, torch.Tensor):
        return inputs * factor if inputs.is_floating_point() else inputs
    if isinstance(inputs, Mapping):
        return {name: scaled(value, factor) for name, value in inputs.items()}
    if type(inputs) in (list, tuple):
        return type(inputs)(scaled(value, factor) for value in inputs)
    return inputs
