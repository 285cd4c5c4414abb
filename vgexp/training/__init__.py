"""The training loop and what it records."""

from vgexp.training.interruption import Interrupted
from vgexp.training.loop import train

__all__ = ["Interrupted", "train"]
