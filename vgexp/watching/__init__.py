"""The same instruments on any nn.Module: hooks, calls, diagnosis, remedies, callbacks."""

from vgexp.watching.checkup import diagnose
from vgexp.watching.monitor import watch

__all__ = ["diagnose", "watch"]
