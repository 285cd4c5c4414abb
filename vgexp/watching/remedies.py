"""Remedies: what to try, computed from theory where theory applies."""

import math
from collections.abc import Iterable
from statistics import median

from vgexp.networks import ACTIVATIONS
from vgexp.numerics import critical_sigma_w

CRITICAL_WITHIN = 0.05
"""A scale of the weights that is closer than this to the critical one, relative to it, is not to blame."""
GENERAL = {
    "vanishing": "residual connections, normalisation, or an activation like relu with He's initialisation",
    "exploding": "residual connections, smaller weights, or clipped gradients",
    "saturated": "smaller weights, normalisation, or a lower learning rate",
}
"""What helps against a kind of finding in general."""


def remedy(kind: str, layers: Iterable[tuple[str, float, int]]) -> str:
    """What to try against a finding of a kind: the critical scale of the weights for each activation, where theory
    knows one and the weights do not have it already; then what helps in general.

    `layers` has the activation, the rms of the weights and the fan-in of each layer.

    >>> remedy("vanishing", [("relu", 0.05, 100)])[:68]
    'weights of std 0.141 at fan-in 100 before relu: sigma_w = 1.41 is cr'
    """
    scales: dict[str, list[tuple[float, int]]] = {}
    for activation, w_rms, fan_in in layers:
        if activation in ACTIVATIONS and 0 < w_rms < math.inf:
            scales.setdefault(activation, []).append((w_rms * math.sqrt(fan_in), fan_in))
    advice = []
    for activation, found in scales.items():
        critical = critical_sigma_w(ACTIVATIONS[activation])
        now, fan_in = median(sigma_w for sigma_w, _ in found), median(fan_in for _, fan_in in found)
        if critical is not None and abs(now / critical - 1) > CRITICAL_WITHIN:
            advice.append(
                f"weights of std {critical / math.sqrt(fan_in):.3g} at fan-in {fan_in:g} before {activation}: "
                f"sigma_w = {critical:.3g} is critical, it is {now:.3g} now"
            )
    return "; or ".join([*advice, GENERAL[kind]])
