"""Statements of papers as numbers to be measured, each with a verdict."""

from vgexp.claims.grids import Grid
from vgexp.claims.measures import (
    first_step,
    largest,
    log_slope,
    mass,
    mean_rise,
    over,
    rise,
    rms,
    since,
    smallest,
    spread,
    width,
)
from vgexp.claims.statements import Claim, Criterion, Measure, Missing, Remark
from vgexp.claims.verdicts import compare, evaluate, judged

__all__ = [
    "Claim",
    "Criterion",
    "Grid",
    "Measure",
    "Missing",
    "Remark",
    "compare",
    "evaluate",
    "first_step",
    "judged",
    "largest",
    "log_slope",
    "mass",
    "mean_rise",
    "over",
    "rise",
    "rms",
    "since",
    "smallest",
    "spread",
    "width",
]
