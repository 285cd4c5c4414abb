"""What a run is: its fields with their rules, its row in a table, its identity, and schedules."""

from vgexp.config.errors import ConfigError, first_line, named, outside
from vgexp.config.fields import (
    FIELDS,
    CheckpointConfig,
    DataConfig,
    InitConfig,
    ModelConfig,
    Run,
)
from vgexp.config.identity import RESULTS_VERSION, changes, digest
from vgexp.config.rows import flat, from_row, leaves, structure
from vgexp.config.rules import revolve_snapshots
from vgexp.config.schedules import ACCEPTS, due, schedule
from vgexp.config.sources import own, source
from vgexp.config.validation import validate
from vgexp.config.wording import counted, shortened

__all__ = [
    "ACCEPTS",
    "FIELDS",
    "RESULTS_VERSION",
    "CheckpointConfig",
    "ConfigError",
    "DataConfig",
    "InitConfig",
    "ModelConfig",
    "Run",
    "changes",
    "counted",
    "digest",
    "due",
    "first_line",
    "flat",
    "from_row",
    "leaves",
    "named",
    "outside",
    "own",
    "revolve_snapshots",
    "schedule",
    "shortened",
    "source",
    "structure",
    "validate",
]
