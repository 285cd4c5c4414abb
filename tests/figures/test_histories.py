import numpy as np
import pytest

import vgexp
from vgexp.claims.grids import Grid
from vgexp.figures import histories
from vgexp.figures.histories import EPOCH
from vgexp.figures.style import panels

G = Grid("g")


@pytest.fixture
def results():
    found = vgexp.run(
        "data=digits",
        "model.depth=3",
        "model.width=7",
        "steps=40",
        "probe=full",
        "probe.on=monitor",
        "probe.every=1",
        "eval.every=20",
        "seed=0,1",
    )
    found.grids["g"] = list(found.runs["run"])
    return found


def drawn(function, results, **options):
    with panels(1, 1) as (_, axes):
        said = function(axes[0, 0], G, results, **options)
    return axes[0, 0], said


def lines(ax):
    return [np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()]


def test_means_are_those_of_the_table(results):
    ax, said = drawn(histories.means, results)
    assert said == "2 seeds"
    expected = G.layers(results, "h_mean").mean("seed").to_numpy()
    for layer in range(3):
        assert any(np.allclose(y, expected[:, layer]) for y in lines(ax) if len(y) == 41)
    one, _ = drawn(histories.means, results, seed=1)
    assert any(np.allclose(y, G.layers(results, "h_mean").sel(seed=1, layer=1)) for y in lines(one) if len(y) == 41)


def test_percentiles_have_marks_and_lines(results):
    ax, _ = drawn(histories.percentiles, results)
    std = G.layers(results, "h_std").mean("seed").to_numpy()
    p98 = G.layers(results, "h_p98").mean("seed").to_numpy()
    assert any(np.allclose(y, -std[:, 2]) for y in lines(ax) if len(y) == 41)
    assert any(np.allclose(y, p98[::2, 1]) for y in lines(ax) if len(y) == 21)


def test_deviations_are_a_running_mean_of_squares(results):
    ax, _ = drawn(histories.deviations, results)
    square = (G.layers(results, "dw_rms") ** 2).mean("seed").to_numpy()
    middle = np.sqrt(square[18:23, 0].mean())
    assert any(y[20] == pytest.approx(middle) for y in lines(ax))


def test_errors_in_per_cent_over_millions_of_examples(results):
    with panels(1, 1) as (_, axes):
        found = histories.errors(axes[0, 0], {"here": G, "nowhere": Grid("x")}, results)
    assert found == ["here"]
    (line,) = axes[0, 0].get_lines()
    np.testing.assert_allclose(line.get_xdata(), [0, 20 * 10 / 1e6, 40 * 10 / 1e6])
    np.testing.assert_allclose(line.get_ydata(), 100 * G.steps(results, "test_error").mean("seed"))


def test_values_of_a_paper_are_shown_as_far_as_our_training_goes(results):
    plain, _ = drawn(histories.means, results)
    read, _ = drawn(histories.means, results, read={0: (0.5, None, 0.4), 2: (0.1, 0.1, 0.1)})
    assert len(read.get_lines()) == len(plain.get_lines()) + 2


def test_the_axis_counts_epochs_below_and_thousands_of_updates_above():
    assert histories._thousands(1) * 1000 == EPOCH
    assert histories._epochs(histories._thousands(2.5)) == 2.5
    assert [histories.count(n) for n in (1, 3)] == ["1 seed", "3 seeds"]
