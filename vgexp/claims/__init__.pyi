from .grids import Grid
from .measures import (
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
from .statements import Claim, Criterion, Measure, Missing, Remark
from .verdicts import compare, evaluate, judged

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
