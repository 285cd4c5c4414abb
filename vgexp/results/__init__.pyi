from .columns import COLUMNS, TABLES, WATCHED, Table, label
from .comparing import compare, short_names
from .errors import ResultsError, StorageError
from .estimates import Estimate, Estimator, estimate, exact, geometric_mean, median
from .files import remove_abandoned, write_atomically
from .grouping import conditions, groups, short
from .profiles import HEALTHY, VANISHED, Fit, by_depth, fall, fit, fits, layer_array, verdict
from .reading import CONFIG, read, stored
from .status import STATUSES, folder_status, statuses
from .tables import Results

__all__ = [
    "COLUMNS",
    "CONFIG",
    "HEALTHY",
    "STATUSES",
    "TABLES",
    "VANISHED",
    "WATCHED",
    "Estimate",
    "Estimator",
    "Fit",
    "Results",
    "ResultsError",
    "StorageError",
    "Table",
    "by_depth",
    "compare",
    "conditions",
    "estimate",
    "exact",
    "fall",
    "fit",
    "fits",
    "folder_status",
    "geometric_mean",
    "groups",
    "label",
    "layer_array",
    "median",
    "read",
    "remove_abandoned",
    "short",
    "short_names",
    "statuses",
    "stored",
    "verdict",
    "write_atomically",
]
