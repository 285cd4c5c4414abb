import numpy as np
import pandas as pd
import pytest
from drawn import assert_drawn
from scipy import stats

import vgexp
from vgexp.claims.statements import Missing
from vgexp.figures.curves import SMOOTHED, curve_frame, curve_picture, draw_curves, running_mean


@pytest.fixture(scope="module")
def even(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("even"))
        return vgexp.run(
            *("data=digits", "model.depth=2", "model.width=10", "steps=40", "probe.every=1", "eval.every=20"),
            "seed=0,1,2",
        )


def column(results, name):
    return results.steps.dropna(subset=[name]).pivot(index="step", columns="run", values=name).to_numpy()


def test_lines_are_running_means_with_the_range_over_seeds(even):
    frame = curve_frame(even)
    for name in ("train_loss", "train_error"):
        found = frame[frame["quantity"] == name].set_index("step")
        window = column(even, name)[18 : 18 + SMOOTHED].mean(axis=0)  # centered on step 20
        assert found.loc[20, "value"] == pytest.approx(window.mean())
        assert found.loc[20, "low"] == pytest.approx(window.min())
        assert found.loc[20, "high"] == pytest.approx(window.max())
        assert found.loc[20, "seeds"] == 3
        assert found.loc[0, "value"] == pytest.approx(column(even, name)[0].mean())
        assert found.loc[1, "value"] == pytest.approx(column(even, name)[:3].mean())
        assert found.loc[40, "value"] == pytest.approx(column(even, name)[40].mean())


@pytest.mark.parametrize("rows", range(1, 9))
def test_a_spike_moves_neither_to_the_start_nor_to_the_end(rows):
    for at in range(rows):
        spike = pd.DataFrame({"run": [float(row == at) for row in range(rows)]}, index=range(0, 10 * rows, 10))
        mean = running_mean(spike)["run"].to_numpy()
        reach = np.minimum(np.minimum(np.arange(rows), np.arange(rows)[::-1]), SMOOTHED // 2)
        expected = np.where(abs(np.arange(rows) - at) <= reach, 1 / (2 * reach + 1), 0)
        np.testing.assert_allclose(mean, expected, atol=1e-15)


def test_only_evenly_spaced_rows_are_averaged():
    values = pd.DataFrame({"run": [5.0, np.nan, 1.0, 2.0, 9.0]})
    uneven = values.set_axis([0, 1, 2, 4, 8])
    pd.testing.assert_frame_equal(running_mean(uneven), uneven)
    even = running_mean(values.set_axis([0, 10, 20, 30, 35]))["run"]  # the last one may come early
    np.testing.assert_allclose(even, [5, np.nan, (5 + 1 + 2 + 9) / 4, 4, 9])


def test_marks_are_evaluations_with_their_interval(even):
    frame = curve_frame(even)
    for name in ("valid_loss", "valid_error"):
        found = frame[frame["quantity"] == name]
        values = column(even, name)
        assert list(found["step"]) == [0, 20, 40]
        np.testing.assert_allclose(found["value"], values.mean(axis=1))
        low, high = stats.t.interval(0.95, 2, values.mean(axis=1), stats.sem(values, axis=1))
        np.testing.assert_allclose(found["low"], low)
        np.testing.assert_allclose(found["high"], high)


def test_what_is_drawn_is_the_frame(even, sweep):
    for results in (even, sweep, even.select(list(even.runs["run"][:1]))):
        assert_drawn(curve_picture(results), "value", "low", "high")


def test_log_spaced_observations_are_not_averaged():
    found = vgexp.run("data=digits", "model.depth=2", "model.width=6", "steps=200", "probe.every=log")
    frame = curve_frame(found)
    loss = frame[frame["quantity"] == "train_loss"]
    np.testing.assert_allclose(loss["value"], column(found, "train_loss")[:, 0])
    assert loss["low"].isna().all()
    ax = curve_picture(found).figure.axes[0]
    assert ax.get_xscale() == "log"
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), loss["step"] + 1)


def test_the_caption_speaks_of_validation_where_there_is_some():
    found = vgexp.run("data=digits", "model.depth=2", "model.width=6", "steps=10", "eval.every=never")
    assert "validation" not in curve_picture(found).caption
    with pytest.raises(Missing, match="no losses"):
        curve_picture(found.select([]))


def test_losses_have_the_unit_of_their_kind_and_a_log_axis_where_they_span_decades(even):
    found = vgexp.run("data=digits", "model.depth=2", "model.width=6", "steps=10", "loss=quadratic")
    losses, errors = curve_picture(found).figure.axes
    assert (losses.get_ylabel(), errors.get_ylabel()) == ("loss", "error rate")
    assert losses.get_yscale() == "linear"
    assert curve_picture(even).figure.axes[0].get_ylabel() == "loss (nats)"
    frame = curve_frame(even)
    numbers, last = frame[["value", "low", "high"]], frame["step"] == frame["step"].max()
    falling = frame.assign(**numbers.where(~last, numbers / 100))
    losses, errors = draw_curves(falling).axes
    assert (losses.get_yscale(), errors.get_yscale()) == ("log", "linear")
