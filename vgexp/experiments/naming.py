"""Names of sweeps that were given none: the same sweep has the same name, another sweep another."""

import json
import re
from collections.abc import Iterable, Sequence

from vgexp.config import Run, changes, digest
from vgexp.experiments.overrides import parse

WORDS = 4
"""The most fields that a name speaks of."""
DIGITS = 6
"""Hex digits of the plan's hash that end a name."""


def automatic_name(overrides: Sequence[str], runs: Iterable[Run]) -> str:
    """The experiment and what a sweep varies, or else what its network is, and six digits of the hash of its runs.

    The digits do not depend on how the choices were spelled, nor on their order: they are of the fields of every run
    that differ from their default.

    >>> automatic_name(["model.depth=5,10", "init.name=he,glorot", "seed=range(0,3)"], [Run()])
    'depth-init-77b81b'
    >>> automatic_name(["steps=10"], [Run()])
    'tanh-5x1000-77b81b'
    """
    runs = list(runs)
    plan = sorted({json.dumps(changes(run), sort_keys=True) for run in runs})
    digits = digest({"runs": plan}, {})[:DIGITS]
    words = [*_experiment(overrides), *_varied(overrides)] or _network(runs[0])
    return "-".join([*(re.sub(r"[^\w.]+", "_", word) for word in words), digits])


def _experiment(overrides: Sequence[str]) -> list[str]:
    """The experiment file that is asked for, if any."""
    asked = [override for override in parse(overrides) if override.get_key_element() == "experiment"]
    return [override.get_value_string() for override in asked if not override.is_sweep_override()]


def _varied(overrides: Sequence[str]) -> list[str]:
    """The fields with choices, each in one word; the seed only where nothing else has any."""
    keys = [override.get_key_element() for override in parse(overrides) if override.is_sweep_override()]
    words = dict.fromkeys(key.removesuffix(".name").split(".")[-1].split("/")[-1] for key in keys)
    return list(words)[:WORDS] if len(words) < 2 else [word for word in words if word != "seed"][:WORDS]


def _network(run: Run) -> list[str]:
    model = run.model
    widths = model.width if isinstance(model.width, list) else [model.width]
    size = f"{model.depth}x{widths[0] if len(set(widths)) == 1 else f'{min(widths)}to{max(widths)}'}"
    family = [] if model.family == "plain" else [model.family]
    return [*family, model.activation, size]
