import numpy as np
import pytest
from drawn import assert_drawn
from scipy import stats

from vgexp.papers.gomez2017 import figures
from vgexp.papers.gomez2017.claims import SCALES


@pytest.fixture
def results(committed):
    return committed("gomez2017")


def errors(results, grid, depth):
    """(S seeds, L layers 2..)."""
    runs = results.runs[results.runs["run"].isin(results.grids[grid]) & (results.runs["model.depth"] == depth)]
    rows = results.layers[results.layers["run"].isin(runs["run"]) & results.layers["layer"].between(2, depth)]
    return rows[rows["step"] == 0].pivot(index="run", columns="layer", values="rebuild_error").to_numpy()


def test_largest_errors_are_geometric_means_over_seeds(results):
    picture = figures.errors(results)
    frame = picture.frame
    for grid, group in SCALES.items():
        rows = frame[frame["group"] == group].set_index("blocks")
        assert 5 in rows.index
        for blocks, row in rows.iterrows():
            log_S = np.log(np.nanmax(errors(results, grid, int(2 * blocks + 1)), axis=1))
            assert row["value"] == pytest.approx(np.exp(log_S.mean()))
            low, high = stats.t.interval(0.95, len(log_S) - 1, log_S.mean(), stats.sem(log_S))
            assert (row["low"], row["high"]) == (pytest.approx(np.exp(low)), pytest.approx(np.exp(high)))
            assert row["seeds"] == len(log_S) == 5
    guides = frame[frame["blocks"].isna()].set_index("group")["value"]
    assert "geometric mean of 5 seeds" in picture.caption
    assert guides.to_dict() == {"rounding": 2**-24, "nothing left of the state": 1.0}
    assert_drawn(picture, "value")
    low, high = picture.figure.axes[0].get_ylim()
    assert low <= frame["value"].min() and frame["value"].max() <= high
    assert set(guides.index) <= set(picture.figure.axes[0].get_legend_handles_labels()[1])


def test_errors_by_layer_are_geometric_means_over_seeds(results):
    picture = figures.layers(results)
    for grid, group in SCALES.items():
        rows = picture.frame[picture.frame["group"] == group].set_index("layer")["value"]
        expected = np.exp(np.log(errors(results, grid, 101)).mean(axis=0))
        finite = np.isfinite(expected)
        np.testing.assert_allclose(rows.to_numpy()[finite], expected[finite])
        assert list(rows.index) == list(range(2, 102))
    assert_drawn(picture, "value")
