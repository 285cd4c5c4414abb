import numpy as np
import pandas as pd
import pytest
from drawn import assert_among, framed, heights

import vgexp
from vgexp.claims.grids import Grid
from vgexp.figures.pictures import Picture
from vgexp.figures.style import panels
from vgexp.papers.glorot2010 import histories
from vgexp.papers.glorot2010.histories import EPOCH, MARKS

G = Grid("g")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("histories"))
        found = vgexp.run(
            *("data=digits", "model.depth=3", "model.width=7", "steps=40", "probe=full", "probe.on=monitor"),
            *("probe.every=1", "seed=0,1"),
        )
    found.grids["g"] = list(found.runs["run"])
    return found


def table(results, column, statistic="mean"):
    """(T steps, L layers) over seeds."""
    rows = results.layers[results.layers["layer"] <= 3]
    return rows.groupby(["step", "layer"])[column].agg(statistic).unstack().to_numpy()


def column(frame, name, quantity):
    rows = frame[(frame["quantity"] == quantity) & frame["value"].notna()]
    return rows.pivot(index="step", columns="layer", values=name).to_numpy()


def picture(draw, frame):
    with panels(1, 1) as (figure, axes):
        draw(axes[0, 0], frame)
    return Picture(figure, "", frame)


def test_means_with_one_deviation_on_either_side(results):
    frame = histories.mean_frame("net", G, results, {})
    mean, std = table(results, "h_mean"), table(results, "h_std")
    for name, expected in (("value", mean), ("low", mean - std), ("high", mean + std)):
        np.testing.assert_allclose(column(frame, name, "h_mean"), expected)
    assert set(frame["seeds"]) == {2} and set(frame["depth"]) == {3} and set(frame["group"]) == {"net"}
    drawn = picture(histories.draw_means, frame)
    assert_among(framed(drawn, "value"), heights(drawn.figure))
    assert_among(heights(drawn.figure), framed(drawn, "value", "low", "high"))
    one = histories.mean_frame("net", G, results, {}, seed=1)
    run = results.runs.loc[results.runs["seed"] == 1, "run"].item()
    rows = results.layers[(results.layers["run"] == run) & (results.layers["layer"] <= 3)]
    expected = rows.pivot(index="step", columns="layer", values="h_mean")
    np.testing.assert_allclose(column(one, "value", "h_mean"), expected)
    assert set(one["seeds"]) == {1}


def test_a_few_bars_of_different_layers_lie_side_by_side(results):
    drawn = picture(histories.draw_means, histories.mean_frame("net", G, results, {}))
    bars = [[segment[0, 0] for segment in one.get_segments()] for one in drawn.figure.axes[0].collections]
    assert len(bars) == 3 and all(MARKS <= len(one) <= 2 * MARKS for one in bars)
    assert bars[0][0] == 0


def test_percentiles_are_marks_and_deviations_lines_on_either_side(results):
    frame = histories.percentile_frame("net", G, results, {})
    for quantity in ("h_p98", "h_p02", "h_std"):
        np.testing.assert_allclose(column(frame, "value", quantity), table(results, quantity))
    drawn = picture(histories.draw_percentiles, frame)
    std = frame.loc[frame["quantity"] == "h_std", "value"].to_numpy()
    assert_among(std, heights(drawn.figure))
    assert_among(-std, heights(drawn.figure))
    assert_among(heights(drawn.figure), np.concatenate([framed(drawn, "value"), -std]))
    marks = [line for line in drawn.figure.axes[0].get_lines() if line.get_linestyle() == "None"]
    np.testing.assert_allclose(marks[1].get_ydata(), table(results, "h_p98")[::2, 1])
    assert len(marks) == 6


def test_deviations_are_a_running_mean_of_squares(results):
    frame = histories.deviation_frame("net", G, results, {0: (0.5, None, 0.25)})
    square = table(results, "dw_rms", lambda x: (x**2).mean())
    smooth = pd.DataFrame(square).rolling(5, min_periods=1, center=True).mean() ** 0.5
    np.testing.assert_allclose(column(frame, "value", "dw_rms"), smooth)
    read = frame.dropna(subset="paper").set_index("layer")["paper"]
    assert read.to_dict() == {1: pytest.approx(2 * smooth.iloc[0, 2]), 3: pytest.approx(smooth.iloc[0, 2])}
    drawn = picture(histories.draw_deviations, frame)
    ours = framed(drawn, "value")
    assert_among(heights(drawn.figure), np.concatenate([ours, -ours, framed(drawn, "paper")]))
    assert_among(np.concatenate([ours, -ours, framed(drawn, "paper")]), heights(drawn.figure))
    assert histories.deviation_frame("net", G, results, {0: (0.5,)})["value"].notna().all()  # nothing to scale by


def test_values_of_the_paper_are_shown_as_far_as_our_training_goes(results):
    frame = histories.mean_frame("net", G, results, {0: (0.5, None, 0.4), 2: (0.1, 0.1, 0.1)})
    read = frame.dropna(subset="paper")
    assert read[["step", "layer", "paper"]].to_numpy().tolist() == [[0, 1, 0.5], [0, 3, 0.4]]
    assert set(read["group"]) == {"net"} and set(read["quantity"]) == {"h_mean"}
    hollow = [
        line for line in picture(histories.draw_means, frame).figure.axes[0].get_lines() if line.get_mfc() == "none"
    ]
    assert [line.get_ydata()[0] for line in hollow] == [0.5, 0.4]


def test_the_axis_counts_epochs_below_and_thousands_of_updates_above():
    assert histories._thousands(1) * 1000 == EPOCH
    assert histories._epochs(histories._thousands(2.5)) == 2.5
    with panels(1, 1) as (_, axes):
        histories.label_epochs(axes[0, 0], axes[0, 0])
    assert axes[0, 0].get_xlabel() == "epochs of 20,000 updates"
    assert axes[0, 0].child_axes[0].get_xlabel() == "updates (thousand)"


def test_the_axis_of_other_data_counts_updates_alone():
    with panels(1, 1) as (_, axes):
        axes[0, 0].set_xlim(0, 2)
        histories.label_updates(axes[0, 0])
    formatted = axes[0, 0].xaxis.get_major_formatter()
    assert [formatted(epoch, 0) for epoch in (0, 0.5, 2)] == ["0", "10", "40"]
