"""What a run is: its fields with their rules, its identity, and schedules."""

from vgexp.config.fields import (
    MEMBER_FIELDS,
    NOT_IN_IDENTITY,
    RESULTS_VERSION,
    CheckpointConfig,
    ConfigError,
    DataConfig,
    ModelConfig,
    Run,
    changes,
    check,
    fans,
    flat,
    from_row,
    identity,
    law,
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
    "ModelConfig",
    "Run",
    "changes",
    "check",
    "fans",
    "flat",
    "from_row",
    "identity",
    "law",
    "revolve_snapshots",
    "schedule",
    "structure",
]
