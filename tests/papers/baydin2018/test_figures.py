import numpy as np
import pytest
from drawn import assert_drawn
from scipy import stats

from vgexp.papers.baydin2018 import figures
from vgexp.papers.baydin2018.claims import MANY_INPUTS, STEPS, numeric_errors


@pytest.fixture
def results(committed):
    return committed("baydin2018")


def test_products_are_three_less_what_the_first_layer_needs_not(results):
    """Layer 1 of 64 x 64 is one of `depth` square matrices beside a readout of 64 x 10."""
    picture = figures.products(results)
    runs = results.runs[results.runs["run"].isin(results.grids["flops"])].groupby("model.depth")
    total = runs[["forward_flops", "backward_flops"]].mean().loc[picture.frame["depth"]]
    np.testing.assert_allclose(picture.frame["value"], 1 + total["backward_flops"] / total["forward_flops"])
    depth = picture.frame["depth"]
    np.testing.assert_allclose(picture.frame["theory"], 3 - 64 / (64 * depth + 10))
    assert (picture.frame["seeds"] == 2).all()
    assert_drawn(picture, "value", "theory")


def test_differences_and_reverse_mode(results):
    picture = figures.differences(results)
    for central, group in ((False, "forward difference"), (True, "central difference")):
        rows = picture.frame[picture.frame["group"] == group]
        np.testing.assert_array_equal(rows["h"], STEPS)
        np.testing.assert_allclose(rows["value"], stats.gmean(numeric_errors(central)))
    exact = picture.frame.loc[picture.frame["h"].isna(), "value"].item()
    assert exact < 1e-14
    assert_drawn(picture, "value")


def test_modes_cost_a_sweep_an_input_or_one(results):
    picture = figures.modes(results)
    cost = picture.frame.set_index(["group", "inputs"])["value"]
    assert list(cost["forward mode"].index) == list(MANY_INPUTS)
    assert cost["forward mode", 64] / cost["forward mode", 1] == pytest.approx(64, rel=0.3)
    assert cost["reverse mode", 64] / cost["reverse mode", 1] < 1.5
    assert_drawn(picture, "value")


def test_times_are_medians_with_student_intervals(results):
    picture = figures.time(results)
    runs = results.runs[results.runs["run"].isin(results.grids["time"])]
    for _, row in picture.frame.iterrows():
        mine = runs[(runs["model.width"].astype(str) == str(row["width"])) & (runs["model.depth"] == row["depth"])]
        mine = mine[mine["data.batch_size"] == row["batch_size"]]
        layers = results.layers[results.layers["run"].isin(mine["run"]) & (results.layers["step"] >= 1)]
        total = layers.groupby(["run", "step"])[["forward_ms", "backward_ms"]].sum().groupby("run").median()
        ratio = 1 + total["backward_ms"] / total["forward_ms"]
        assert row["value"] == pytest.approx(stats.gmean(ratio))
        log = np.log(ratio)
        low, high = np.exp(stats.t.interval(0.95, len(log) - 1, log.mean(), stats.sem(log)))
        assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
        assert row["seeds"] == len(ratio) == 5
    assert_drawn(picture, "value", "low", "high")
