"""What theory expects of a run: its profile on the examples that its probe will see."""

import pandas as pd
import torch

from vgexp.config import Run
from vgexp.data import Stream
from vgexp.theory.meanfield import profile


def expected(run: Run) -> pd.DataFrame:
    """The profile of a run on the examples that its probe sees at step 0: the monitoring set, or its first
    batch."""
    stream = Stream(run.data, [run.batch_seed], torch.float64, torch.device("cpu"))
    x_MKI, y_MK = stream.monitor() if run.probe.on == "monitor" else stream.batch(0)
    return profile(run, x_MKI[0], y_MK[0], stream.data.classes)
