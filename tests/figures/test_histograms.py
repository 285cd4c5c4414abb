import numpy as np
import pytest
from drawn import assert_drawn
from many import many

import vgexp
from vgexp.claims.statements import Missing
from vgexp.figures.histograms import DEVIATIONS, histogram_frame, histogram_picture
from vgexp.figures.pictures import GROUPS_SHOWN


def test_bins_are_those_of_the_table(sweep):
    frame = histogram_frame(sweep, "dz", 0)
    for family, rows in frame.groupby("group"):
        run = sweep.runs.loc[(sweep.runs["model.family"] == family) & (sweep.runs["seed"] == 0), "run"].item()
        table = sweep.histograms[(sweep.histograms["run"] == run) & (sweep.histograms["quantity"] == "dz")]
        table = table[table["step"] == 0].set_index("layer")
        assert sorted(set(rows["layer"])) == [1, 2, 3, 4]
        for layer, one in rows.groupby("layer"):
            np.testing.assert_array_equal(one["density"], table.loc[layer, "density"])
            np.testing.assert_array_equal([*one["left"], one["right"].iloc[-1]], table.loc[layer, "edges"])
            assert (one["density"] * (one["right"] - one["left"])).sum() == pytest.approx(1)


@pytest.mark.parametrize("quantity", ["h", "dz", "dw"])
def test_what_is_drawn_is_the_frame(sweep, quantity):
    picture = histogram_picture(sweep, quantity)
    assert_drawn(picture, "density")
    one = picture.frame[(picture.frame["group"] == "plain") & (picture.frame["layer"] == 2)]
    line = picture.figure.axes[0].get_lines()[1]
    np.testing.assert_allclose(line.get_xdata(), (one["left"] + one["right"]) / 2)


def test_panels_show_nearly_all_of_the_widest_layer(sweep):
    picture = histogram_picture(sweep, "h")
    limit = picture.figure.axes[-1].get_xlim()[1]
    run = sweep.runs.loc[(sweep.runs["model.family"] == "residual") & (sweep.runs["seed"] == 0)].iloc[0]
    layers = sweep.layers[(sweep.layers["run"] == run["run"]) & (sweep.layers["step"] == 0)]
    assert limit == pytest.approx(DEVIATIONS * layers["h_rms"].max(), rel=0.05)


def test_names_choose_the_groups_and_their_order(sweep):
    picture = histogram_picture(sweep, "h", 0, names=["residual", "plain"])
    assert list(picture.frame["group"].unique()) == ["residual", "plain"]


def test_the_caption_says_which_groups_are_left_out(sweep):
    assert "groups" not in histogram_picture(sweep, "h").caption
    found = many(sweep, init__sigma_w=range(1, GROUPS_SHOWN + 2))
    picture = histogram_picture(found, "h")
    assert picture.frame["group"].nunique() == GROUPS_SHOWN
    assert f"the first {GROUPS_SHOWN} of {GROUPS_SHOWN + 1} groups" in picture.caption
    assert picture.figure.get_supxlabel() == "activation h"
    chosen = histogram_picture(found, "h", 0, names=list(picture.frame["group"].unique()[:2]))
    assert "groups" not in chosen.caption


def test_runs_that_recorded_different_things_and_no_step_0():
    """Folders that recorded different things are drawn together; the first look need not be at step 0."""
    vgexp.run("data=digits", "model.depth=2", "model.width=10", "steps=4", "name=light")
    full = ("model.depth=3", "model.width=10", "steps=4", "probe=full", "probe.histograms=end", "name=full")
    vgexp.run("data=digits", *full)
    picture = histogram_picture(vgexp.read("results/light", "results/full"), "h")
    (ax,) = picture.figure.axes
    assert len(ax.get_lines()) == 3
    assert "step 4" in picture.caption


def test_what_was_not_recorded_is_missing(sweep):
    with pytest.raises(Missing, match="no densities"):
        histogram_picture(sweep.select([]), "h")
    with pytest.raises(Missing, match="no densities of activation h at step 17"):
        histogram_picture(sweep, "h", 17)
