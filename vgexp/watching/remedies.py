"""Remedies: what to try, computed from theory where theory applies."""

import math
from collections.abc import Iterable
from statistics import median

from vgexp.networks import ACTIVATIONS
from vgexp.theory import critical_sigma_w

NEAR = 0.05
"""Relative distance from the critical scale at which the scale is not to blame."""
OTHERS = {
    "vanishing": "residual connections, normalisation, or an activation like relu with He's initialisation",
    "exploding": "residual connections, smaller weights, or clipped gradients",
    "saturated": "smaller weights, normalisation, or a lower learning rate",
}


def scale(kind: str, layers: Iterable[tuple[str, float, int]]) -> str:
    """What to try against a finding of a kind: for each activation, from the (activation, rms of the weights, fan-in)
    of its layers, the scale of the weights that is critical, if theory knows one and it is not there already; then
    what helps in general.

    >>> scale("vanishing", [("relu", 0.05, 100)])[:68]
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
        if critical is not None and abs(now / critical - 1) > NEAR:
            advice.append(
                f"weights of std {critical / math.sqrt(fan_in):.3g} at fan-in {fan_in:g} before {activation}: "
                f"sigma_w = {critical:.3g} is critical, it is {now:.3g} now"
            )
    return "; or ".join([*advice, OTHERS[kind]])
