import numpy as np
import pytest
from drawn import assert_drawn
from many import many

import vgexp
from vgexp.claims.statements import Missing
from vgexp.figures.heatmaps import heatmap_frame, heatmap_picture
from vgexp.figures.pictures import GROUPS_SHOWN


def test_cells_are_those_of_the_first_seed(sweep):
    frame = heatmap_frame(sweep, "dz_rms")
    assert set(frame["seed"]) == {0}
    for family, rows in frame.groupby("group"):
        run = sweep.runs.loc[(sweep.runs["model.family"] == family) & (sweep.runs["seed"] == 0), "run"].item()
        table = sweep.layers[(sweep.layers["run"] == run) & (sweep.layers["layer"] <= 4)]
        ours = rows.set_index(["step", "layer"])["value"].sort_index()
        np.testing.assert_array_equal(ours, table.set_index(["step", "layer"])["dz_rms"].sort_index())


def test_what_is_drawn_is_the_frame(sweep):
    for quantity in (None, "w_rms"):
        picture = heatmap_picture(sweep, quantity)
        assert_drawn(picture, "value")
    assert heatmap_picture(sweep).caption.startswith("By layer and step: gradient dx (rms),")
    assert picture.caption.startswith("By layer and step: weights W (rms),")


def test_cells_lie_around_their_steps(sweep):
    mesh = heatmap_picture(sweep).figure.axes[0].collections[0]
    steps = np.unique(sweep.layers["step"])
    edges = mesh.get_coordinates()[0, :, 0]
    assert edges[0] == steps[0] and edges[-1] == steps[-1]
    np.testing.assert_allclose(edges[1:-1], (steps[1:] + steps[:-1]) / 2)


def test_one_recorded_step_and_too_many_groups():
    """The figure itself says which are left out: it may stand without its caption."""
    found = vgexp.run("data=digits", "model.depth=2", "model.width=6", "steps=0")
    picture = heatmap_picture(many(found, init__sigma_w=range(1, GROUPS_SHOWN + 2)))
    assert picture.frame["group"].nunique() == GROUPS_SHOWN
    assert f"the first {GROUPS_SHOWN} of {GROUPS_SHOWN + 1} groups" in picture.caption
    assert picture.figure.get_supxlabel() == f"the first {GROUPS_SHOWN} of {GROUPS_SHOWN + 1} groups"
    assert_drawn(picture, "value")


def test_nothing_recorded_is_missing(sweep):
    with pytest.raises(Missing, match="no gradient"):
        heatmap_picture(sweep.select([]))
