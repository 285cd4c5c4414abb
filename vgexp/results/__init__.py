"""Tables on disk and in memory, and the estimates with intervals that are read from them."""

from vgexp.results.analysis import (
    Estimate,
    Fit,
    by_depth,
    estimate,
    fits,
    groups,
    profile,
    short,
    slope,
    slopes,
    verdict,
)
from vgexp.results.store import KEYS, TABLES, Results, Store, read, runs_frame, stack_id, write_atomically
from vgexp.results.tensorboard import export, export_runs

__all__ = [
    "KEYS",
    "TABLES",
    "Estimate",
    "Fit",
    "Results",
    "Store",
    "by_depth",
    "estimate",
    "export",
    "export_runs",
    "fits",
    "groups",
    "profile",
    "read",
    "runs_frame",
    "short",
    "slope",
    "slopes",
    "stack_id",
    "verdict",
    "write_atomically",
]
