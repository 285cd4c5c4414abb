"""Predictions: what a network will do and cost, by theory and counting, without running it."""

import math
import re
from dataclasses import dataclass
from functools import partial

import pandas as pd

from vgexp.config import ConfigError, Run
from vgexp.costs import forecast, si
from vgexp.data import dataset
from vgexp.experiments.plan import single_run
from vgexp.networks import FAMILIES
from vgexp.results import Fit, fit
from vgexp.theory import NoTheory
from vgexp.theory.expected import expected


@dataclass
class Prediction:
    """What is expected of a network without running it: its gradients at initialisation, and its costs."""

    run: Run
    profile: pd.DataFrame
    """`layer part z_rms h_mean h_std dz_rms dx_rms factor`, the readout last; empty where there is no theory. The
    factor is that of the family's signal: dz, or dx where there are skips."""
    fit: Fit | None
    costs: pd.DataFrame
    """`memory forward_flops backward_flops live_bytes weight_bytes`, a row a memory mode."""
    missing: str = ""
    """Why there is no profile."""

    def __str__(self) -> str:
        """The profile, its summary and the costs, as `vgexp predict` prints them."""
        units = {"forward_flops": "FLOP", "backward_flops": "FLOP", "live_bytes": "B", "weight_bytes": "B"}
        costs = self.costs.to_string(
            index=False,
            header=[str(column).replace("_", " ") for column in self.costs],
            formatters={column: partial(si, unit=unit) for column, unit in units.items()},
        )
        if self.profile.empty:
            return f"{self.summary}\n\n{costs}"
        columns = ["layer", "part", "z_rms", "h_mean", "h_std", "dz_rms", "dx_rms", "factor"]
        if not self.profile["part"].any():
            columns.remove("part")
        profile = self.profile.to_string(columns=columns, index=False, float_format="{:.4g}".format, na_rep="")
        return f"{profile}\n\n{self.summary}\n\n{costs}"

    @property
    def summary(self) -> str:
        """What becomes of the gradient, in one sentence."""
        fit = self.fit
        if fit is None:
            return f"no theory of gradients: {self.missing}"
        if math.isnan(fit.fall.point):
            return f"{fit.verdict}: {fit.note}"
        direction = "shrinks" if fit.fall.point > 0 else "grows"
        return (
            f"{fit.verdict}: from layer {self.run.model.depth} down to 1 the gradient {direction} by "
            f"{abs(fit.fall.point):.2f} decades, a factor {fit.factor.point:.4f} a layer "
            f"(half-depth {fit.half_depth:.3g} layers)"
        )


def predict(*overrides: str, budget: str | float | None = None) -> Prediction:
    """The theory's profile and verdict for one config, and its costs, without training.

    With a budget of memory (`8GB`, or bytes) also the largest depth that fits in it. Raises ConfigError for a bad
    override.
    """
    memory = None if budget is None else size(budget)
    run = single_run(overrides)
    data = dataset(run.data)
    costs = forecast(run, data.inputs, data.classes, memory)
    try:
        profile, found = profile_and_fit(run)
    except NoTheory as reason:
        return Prediction(run, pd.DataFrame(), None, costs, str(reason))
    return Prediction(run, profile, found, costs)


def profile_and_fit(run: Run) -> tuple[pd.DataFrame, Fit]:
    """The profile that theory expects of a run, with the factor of every layer, and what it says in numbers.

    Raises NoTheory where there is none.
    """
    profile = expected(run)
    signal = profile.loc[profile["part"] == "", FAMILIES[run.model.family].signal + "_rms"]
    profile["factor"] = signal / signal.shift(-1)
    return profile, fit(signal.to_numpy()[None, : run.model.depth])


def size(text: str | float) -> float:
    """Bytes of `8GB`, `512MB`, `2e9`: decimal units, as memory is sold.

    >>> size("1.5GB")
    1500000000.0
    """
    found = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kMGT]?)B?\s*", str(text))
    try:
        number = float(found[1]) if found else math.nan
    except ValueError:
        number = math.nan
    bytes_ = number * 1000.0 ** " kMGT".index(found[2] or " ") if found else math.nan
    if not 1000 <= bytes_ < math.inf:
        raise ConfigError("--budget", text, "a size in memory of at least 1kB: 8GB, 512MB, or bytes")
    return bytes_
