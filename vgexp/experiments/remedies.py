"""Remedies: changes of a config against a gradient that vanishes or explodes, each predicted before it is named."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vgexp.config import ConfigError, Run, flat, from_row
from vgexp.experiments.checks import check_run
from vgexp.networks import FAMILIES
from vgexp.networks.blueprints import PER_DEPTH
from vgexp.networks.identity import identity
from vgexp.results import Fit, stored
from vgexp.theory import NoTheory
from vgexp.theory.expected import Examples, profile_and_fit
from vgexp.theory.meanfield import has_recursion

RESIDUAL = {"model.family": "residual", "model.branch": PER_DEPTH}
REMEDIES: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "weights": (
        *({"init.name": name, "init.sigma_w": None} for name in ("he", "lecun", "critical", "orthogonal")),
        {"init.name": "critical", "init.sigma_w": None, "init.sigma_b": 0.0},
    ),
    "branch": ({"model.branch": PER_DEPTH}, {"model.gate_bias": -4.0}),
    "norm": ({"model.norm": "layer"},),
    "skips": (RESIDUAL, RESIDUAL | {"model.norm": "layer"}),
    "activation": (
        {"model.activation": "tanh", "init.name": "lecun", "init.sigma_w": None},
        {"model.activation": "relu", "init.name": "he", "init.sigma_w": None},
        {"model.activation": "selu", "init.name": "lecun", "init.sigma_w": None},
    ),
}
"""What may help, by kind: the best of each kind is shown. To add a remedy, write its fields and their values."""
SHOWN = 3
BETTER = 0.5
"""A remedy leaves at most this share of the decades by which the gradient falls or grows."""


DEEP = 64
"""Layers beyond which a closed form is run roughly."""


class Remedy(NamedTuple):
    """A change of a config, and the gradient that theory expects with it."""

    overrides: str
    """As they are typed after those that are there: `init.name=he init.sigma_w=null`."""
    signal: str
    """`dz`, or `dx` where there are skips."""
    factor: float
    """What a layer multiplies it by."""
    fall: float
    """Decades that it loses from the last hidden layer to the first."""
    verdict: str


def remedies(run: Run, fit: Fit, examples: Examples) -> list[Remedy]:
    """At most three changes that leave at most half of the decades by which a run's gradient falls or grows, the least
    first, one of a kind; to a tenth of a decade, the earlier in the list counts as less. None for a healthy network.
    """
    if fit.verdict == "healthy":
        return []
    best: list[Remedy] = []
    for candidates in REMEDIES.values():
        predicted = [found for one in candidates if (found := _predicted(run, one, examples)) is not None]
        helpful = [one for one in predicted if not abs(one.fall) > BETTER * abs(fit.fall.point)]
        best += [one for one in sorted(helpful, key=_left)[:1] if one not in best]
    return sorted(best, key=_left)[:SHOWN]


def _left(one: Remedy) -> float:
    return round(abs(one.fall), 1)


def _predicted(run: Run, fields: Mapping[str, Any], examples: Examples) -> Remedy | None:
    """What theory expects of a run with other values of some fields; None where they change nothing, or cannot be, or
    theory expects no gradient."""
    values = dict(fields)
    if "init.name" in values:
        values["init.distribution"] = None
    before = flat(run)
    values = {key: value for key, value in values.items() if before[key] != value}
    changed = from_row(stored(before | values))
    try:
        check_run(changed)
        if identity(changed) == identity(run):
            return None
        _, fit = profile_and_fit(changed, examples, rough=changed.model.depth > DEEP or not has_recursion(changed))
    except (ConfigError, NoTheory):
        return None
    if fit.fall.point != fit.fall.point:
        return None
    overrides = [f"{key}={'null' if value is None else value}" for key, value in values.items()]
    signal = FAMILIES[changed.model.family].signal
    return Remedy(shlex.join(overrides), signal, fit.factor.point, fit.fall.point, fit.verdict)
