"""Predictions: what a network will do and cost, by theory and counting, without running it."""

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from html import escape

import pandas as pd

from vgexp.config import ConfigError, Run
from vgexp.costs import follows_depth, forecast, require_memory, si
from vgexp.data import dataset
from vgexp.experiments.plan import single_run
from vgexp.experiments.remedies import Remedy, remedies
from vgexp.networks import activation
from vgexp.results import Fit
from vgexp.theory import Depth, NoTheory, Phase, depth_of, phase, scales
from vgexp.theory.expected import CLOSED, examples, profile_and_fit

ADDRESSABLE = 2**62
"""Bytes that tensors can be told apart by, on any computer."""
PRINTED, SHOWN = 32, 10
"""Rows of a profile that are printed, and that a notebook shows: the first and the last of however many there are."""


@dataclass(repr=False)
class Prediction:
    """What is expected of a network without running it: its gradients at initialisation, and its costs."""

    run: Run
    costs: pd.DataFrame
    """`memory forward_flops backward_flops live_bytes weight_bytes`, a row a memory mode."""
    profile: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`layer part z_rms h_mean h_std dz_rms dx_rms factor`, the readout last; empty where there is no theory. The
    factor is that of the family's signal: dz, or dx where there are skips."""
    fit: Fit | None = None
    thousandfold: Depth | None = None
    """How deep such a network has to be for its gradient to fall to a thousandth, or to grow a thousandfold; None where
    that cannot be said."""
    phase: Phase | None = None
    """Of a plain network without norm; None where there is none."""
    remedies: pd.DataFrame = field(default_factory=pd.DataFrame)
    """`overrides signal factor fall verdict`: what makes a gradient that vanishes or explodes healthier by its own
    prediction, the best first; empty where nothing has to be done, or nothing that is known helps."""
    missing: str = ""
    """Why there is no profile."""
    no_depth: str = ""
    """Why there is no depth."""

    def __repr__(self) -> str:
        """The network and what becomes of its gradient, in one line."""
        model = self.run.model
        return f"Prediction({model.family} {model.activation} {model.depth} x {model.width}: {self.summary})"

    def __str__(self) -> str:
        """The profile, what it says and the costs, as `vgexp predict` prints them: one screen at any depth."""
        costs = self._costs().to_string(index=False)
        if self.profile.empty:
            return f"{self.summary}\n\n{costs}"
        profile = self._profile(PRINTED).to_string(index=False)
        said = "\n".join([*self._said(), *filter(None, [self.advice])])
        return f"{profile}\n\n{said}\n\n{costs}"

    def _repr_html_(self) -> str:
        """The same with fewer layers, for notebooks."""
        advice = self.remedies[["overrides", "signal", "factor", "verdict"]] if self.advice else self.remedies
        tables = [self._profile(SHOWN), advice.round(3), self._costs()]
        said = "".join(f"<p>{escape(line)}</p>" for line in self._said())
        return said + "".join(table.to_html(index=False) for table in tables if not table.empty)

    def _said(self) -> list[str]:
        return list(filter(None, [self.summary, *([] if self.profile.empty else [self.reach, self.order])]))

    def _profile(self, rows: int) -> pd.DataFrame:
        """The profile in words, the first and the last of its rows."""
        if self.profile.empty:
            return self.profile
        columns = ["layer", "part", "z_rms", "h_mean", "h_std", "dz_rms", "dx_rms", "factor"]
        if not self.profile["part"].any():
            columns.remove("part")
        words = self.profile[columns].map(lambda cell: f"{cell:.4g}" if isinstance(cell, float) else str(cell))
        words = words.replace("nan", "")
        if len(words) <= rows:
            return words
        gap = pd.DataFrame({name: ["..."] for name in words})
        return pd.concat([words.head(rows - rows // 2), gap, words.tail(rows // 2)])

    def _costs(self) -> pd.DataFrame:
        """The costs in words."""
        units = {"forward_flops": "FLOP", "backward_flops": "FLOP", "live_bytes": "B", "weight_bytes": "B"}
        words = self.costs.assign(
            **{name: self.costs[name].map(partial(si, unit=unit)) for name, unit in units.items()}
        )
        return words.rename(columns=lambda name: name.replace("_", " "))

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

    @property
    def reach(self) -> str:
        """At which depth the gradient has changed a thousandfold, in one sentence."""
        found = self.thousandfold
        if found is None and self.no_depth == CLOSED:
            return ""
        if found is None:
            return f"no depth for a thousandth: {self.no_depth}"
        if found.layers is None:
            return f"neither falls to a thousandth nor grows a thousandfold up to depth {found.searched:,}"
        how = "falls to a thousandth" if found.falls else "grows a thousandfold"
        return f"{how} at depth {found.layers:,}" if found.exact else f"{how} at about depth {found.layers:,}"

    @property
    def order(self) -> str:
        """The phase, in one line; empty where there is none."""
        if self.phase is None:
            return ""
        name, chi_1, xi_c = self.phase.name, self.phase.chi_1, self.phase.xi_c
        scale = "" if math.isnan(xi_c) else f", xi_c = {xi_c:.3g} layers"
        return f"{name}: chi_1 = {chi_1:.4g}{scale}"

    @property
    def advice(self) -> str:
        """What to try, a line each; empty where there is nothing."""
        if self.remedies.empty:
            return ""
        longest = self.remedies["overrides"].str.len().max()
        lines = [
            f"  {row.overrides:<{longest}}  {row.signal} {row.factor:.3f}x a layer, {row.verdict}"
            for row in self.remedies.itertuples()
        ]
        return "\n".join(["what would help, by the same theory:", *lines])


def predict(*overrides: str, budget: str | float | None = None) -> Prediction:
    """The theory's profile and verdict for one config, and its costs, without training.

    With the depth at which its gradient has changed a thousandfold, its phase where it has one, and what would help
    where the gradient vanishes or explodes. With a budget of memory (`8GB`, or bytes) also the largest depth that fits
    in it. Raises ConfigError for a bad override.
    """
    memory = None if budget is None else size(budget)
    run = single_run(overrides)
    data = dataset(run.data)
    if not follows_depth(run):  # every part is counted by itself then
        require_memory(run, data, members=1, available=ADDRESSABLE, jobs=1)
    found = Prediction(run, forecast(run, data.inputs, data.classes, memory))
    seen = examples(run)
    try:
        found.profile, found.fit = profile_and_fit(run, seen)
    except NoTheory as reason:
        found.missing = str(reason)
        return found
    if found.fit.note == CLOSED:
        found.no_depth = CLOSED
        return found
    try:
        found.thousandfold = depth_of(run, *seen)
    except NoTheory as reason:
        found.no_depth = str(reason)
    with suppress(NoTheory):
        q = float(found.profile["z_rms"].iloc[0]) ** 2
        found.phase = phase(activation(run.model), *scales(run), q)
    found.remedies = pd.DataFrame(remedies(run, found.fit, seen), columns=list(Remedy._fields))
    return found


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
