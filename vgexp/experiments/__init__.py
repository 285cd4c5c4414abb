"""From overrides to runs: sweeps, plans, launches, and predictions without a run."""

from vgexp.experiments.imports import IMPORTS, load_imports
from vgexp.experiments.launch import run, start
from vgexp.experiments.overrides import check_single, fields_of
from vgexp.experiments.prediction import predict

__all__ = ["IMPORTS", "check_single", "fields_of", "load_imports", "predict", "run", "start"]
