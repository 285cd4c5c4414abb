"""The training loop and what it records."""

from vgexp.training.interruption import Interrupted, stop_requests
from vgexp.training.loop import describe, train

__all__ = ["Interrupted", "describe", "stop_requests", "train"]
