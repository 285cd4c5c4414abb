"""Comparisons: what theory expects of several networks, side by side, without running any."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from vgexp.config import ConfigError, Run, flat
from vgexp.experiments.checks import check_prediction, check_run
from vgexp.experiments.compose import composer, groups
from vgexp.experiments.imports import load_imports
from vgexp.experiments.overrides import check_keys, latest
from vgexp.experiments.stacks import require_read, without_effect
from vgexp.experiments.sweep import grids
from vgexp.networks.identity import identity, unread
from vgexp.results import stored
from vgexp.results.grouping import conditions
from vgexp.theory import NoTheory
from vgexp.theory.expected import examples, profile_and_fit


@dataclass
class Comparison:
    """A row for each network: what sets it apart, and what becomes of its gradient at initialisation."""

    rows: pd.DataFrame
    """The fields that differ, empty where a network does not read them, then `factor fall verdict`: what each layer
    multiplies the gradient by, the decades that it loses from the last hidden layer to the first, and a word for it;
    NaN and the reason where there is no theory."""

    def __str__(self) -> str:
        titles = {"factor": "factor a layer", "fall": "fall (decades)"}
        return self.rows.rename(columns=titles).to_string(index=False, float_format="{:.3f}".format, na_rep="")


def compare(*overrides: str, budget: str | float | None = None) -> Comparison:
    """What theory expects of every network of a sweep: `vgexp.experiments.compare("model.family=plain,residual")`.

    Raises ConfigError for a bad override, and for a budget of memory, which is told of one network (`predict`).
    """
    if budget is not None:
        raise ConfigError("--budget", budget, "one network, without -m")
    asked = latest(overrides)
    check_keys(asked, groups())
    with composer() as compose:
        found = grids(asked, compose)
    load_imports()
    runs = {identity(run): run for grid in found.values() for _, run in grid.runs}
    for run in runs.values():
        check_run(run)
        check_prediction(run)
    for grid in found.values():
        without_effect(grid)
    require_read(asked, list(runs.values()))
    configs = [stored(flat(run)) for run in runs.values()]
    apart = conditions(pd.DataFrame(configs))
    rows = []
    for run, config in zip(runs.values(), configs, strict=True):
        config |= dict.fromkeys(unread(run), "")
        rows.append({field: config[field] for field in apart} | _said(run))
    return Comparison(pd.DataFrame(rows))


def _said(run: Run) -> dict[str, Any]:
    try:
        _, fit = profile_and_fit(run, examples(run))
    except NoTheory as reason:
        return {"factor": math.nan, "fall": math.nan, "verdict": str(reason)}
    return {"factor": fit.factor.point, "fall": fit.fall.point, "verdict": fit.verdict}
