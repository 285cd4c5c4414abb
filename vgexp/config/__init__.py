"""What a run is: its fields with their rules, its identity, and schedules."""

from vgexp.config.fields import (
    MEMBER_FIELDS,
    NOT_IN_IDENTITY,
    RESULTS_VERSION,
    CheckpointConfig,
    ConfigError,
    DataConfig,
    InitConfig,
    ModelConfig,
    Run,
    changes,
    check,
    flat,
    from_row,
    identity,
    revolve_snapshots,
    structure,
)
from vgexp.config.schedules import ACCEPTS, schedule

__all__ = [
    "ACCEPTS",
    "MEMBER_FIELDS",
    "NOT_IN_IDENTITY",
    "RESULTS_VERSION",
    "CheckpointConfig",
    "ConfigError",
    "DataConfig",
    "InitConfig",
    "ModelConfig",
    "Run",
    "changes",
    "check",
    "flat",
    "from_row",
    "identity",
    "revolve_snapshots",
    "schedule",
    "structure",
]
