"""The training loop and what it records."""

from vgexp.training.loop import Interrupted, train

__all__ = ["Interrupted", "train"]
