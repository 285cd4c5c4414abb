"""What theory expects of a run: its profile on the examples that its probe will see, and what that says in numbers.

Legend: K examples, I inputs.
"""

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from vgexp.config import Run
from vgexp.data import Stream
from vgexp.networks import FAMILIES
from vgexp.results import Fit, fit
from vgexp.theory.meanfield import profile

CLOSED = (
    "the readout starts at 0, and no gradient passes it before the first step; init.scope=hidden has one that passes"
)
"""What is said of networks as Fixup's."""


class Examples(NamedTuple):
    """Inputs, their classes, and how many classes there are."""

    x_KI: Tensor
    y_K: Tensor
    classes: int


def examples(run: Run) -> Examples:
    """What a run's probe sees at step 0: the monitoring set, or its first batch."""
    stream = Stream(run.data, [run.batch_seed], torch.float64, torch.device("cpu"))
    x_MKI, y_MK = stream.monitor() if run.probe.on == "monitor" else stream.batch(0)
    return Examples(x_MKI[0], y_MK[0], stream.data.classes)


def expected(run: Run) -> pd.DataFrame:
    """The profile of a run on the examples that its probe sees at step 0."""
    return profile(run, *examples(run))


def profile_and_fit(run: Run, seen: Examples, rough: bool = False) -> tuple[pd.DataFrame, Fit]:
    """The profile of a run, with the `factor` of every layer, and what it says in numbers. The factor is that of the
    family's signal: dz, or dx where there are skips.

    Raises NoTheory where there is none. `rough` as `mean_squares` has it.
    """
    found = profile(run, *seen, rough=rough)
    signal = found.loc[found["part"] == "", FAMILIES[run.model.family].signal + "_rms"]
    found["factor"] = signal / signal.shift(-1)
    hidden, readout = signal.to_numpy()[: run.model.depth], found["dz_rms"].iloc[-1]
    fitted = fit(hidden[None])
    handed = found["dx_rms"].fillna(0.0)
    if readout > 0 and not hidden.any() and not handed.any():  # no layer is dead: the first step opens them all
        fitted = fitted._replace(verdict="undecided", note=CLOSED)
    return found, fitted
