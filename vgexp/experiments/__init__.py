"""From overrides to runs: sweeps, plans, launches, and predictions without a run."""

from vgexp.experiments.plan import run
from vgexp.experiments.prediction import predict

__all__ = ["predict", "run"]
