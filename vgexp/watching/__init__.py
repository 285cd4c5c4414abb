"""The same instruments on any nn.Module.

`hooks` sees a step, `tracing` takes second looks at a batch, `verdicts` says what was seen: imports point from the last
to the first. A monitor watches a training, a checkup diagnoses a model from one batch.
"""

from vgexp.watching.checkup import diagnose
from vgexp.watching.monitor import watch

__all__ = ["diagnose", "watch"]
