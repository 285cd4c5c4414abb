"""Tables on disk and in memory, and the estimates with intervals that are read from them.

What writes results needs torch: `vgexp.results.writing` and `vgexp.results.tensorboard` are imported by name, so that
reading loads none.
"""

from vgexp.results.columns import COLUMNS, PROVENANCE, TABLES, TENSORS, TIMES, WATCHED, Column, Table, label
from vgexp.results.estimates import Estimate, estimate
from vgexp.results.files import write_atomically
from vgexp.results.groups import groups, short
from vgexp.results.profiles import Fit, by_depth, fit, fits, layer_array, slope, verdict
from vgexp.results.reading import CONFIG, ResultsError, read, stored
from vgexp.results.status import STATUSES, statuses
from vgexp.results.tables import Results

__all__ = [
    "COLUMNS",
    "CONFIG",
    "PROVENANCE",
    "STATUSES",
    "TABLES",
    "TENSORS",
    "TIMES",
    "WATCHED",
    "Column",
    "Estimate",
    "Fit",
    "Results",
    "ResultsError",
    "Table",
    "by_depth",
    "estimate",
    "fit",
    "fits",
    "groups",
    "label",
    "layer_array",
    "read",
    "short",
    "slope",
    "statuses",
    "stored",
    "verdict",
    "write_atomically",
]
