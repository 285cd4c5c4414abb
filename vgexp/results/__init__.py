"""Tables on disk and in memory, and the estimates with intervals that are read from them.

What writes results needs torch: `vgexp.results.writing` and `vgexp.results.tensorboard` are imported by name, so that
reading loads none.
"""

from vgexp.results.columns import COLUMNS, TABLES, WATCHED, Table, label
from vgexp.results.estimates import Estimate, estimate
from vgexp.results.files import write_atomically
from vgexp.results.groups import groups, short
from vgexp.results.profiles import Fit, by_depth, fit, fits, slope, verdict
from vgexp.results.reading import CONFIG, ResultsError, read, stored
from vgexp.results.status import STATUSES, statuses
from vgexp.results.tables import Results

__all__ = [
    "COLUMNS",
    "CONFIG",
    "STATUSES",
    "TABLES",
    "WATCHED",
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
    "read",
    "short",
    "slope",
    "statuses",
    "stored",
    "verdict",
    "write_atomically",
]
