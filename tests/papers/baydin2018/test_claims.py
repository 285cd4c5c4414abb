import re

import numpy as np
import pytest

from vgexp.papers.baydin2018 import claims


def test_the_sizes_that_are_not_judged_are_told(committed):
    """The oracle goes by runs: medians over the steps after the first of sums over layers."""
    results = committed("baydin2018")
    said = claims.other_sizes((), results)
    runs = results.grid("time").runs
    sums = results.layers.query("step > 0").groupby(["run", "step"])[["forward_ms", "backward_ms"]].sum()
    medians = sums.groupby("run").median()
    logs = np.log(medians.sum(axis=1) / medians["forward_ms"])
    for width, batch in ((64, 32), (64, 256), (256, 32)):
        these = runs[(runs["model.width"] == width) & (runs["data.batch_size"] == batch)]
        low, high = re.search(rf"([\d.]+) to ([\d.]+) with {width} and {batch}\b", said).groups()
        means = np.exp(these.assign(log=these["run"].map(logs)).groupby("model.depth")["log"].mean())
        assert [float(low), float(high)] == pytest.approx([means.min(), means.max()], rel=0.003)
