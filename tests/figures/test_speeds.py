import numpy as np
import pytest
from drawn import assert_drawn

from vgexp.claims.statements import Missing
from vgexp.figures.speeds import speed_frame, speed_picture


def test_values_are_geometric_means_over_seeds(sweep):
    frame = speed_frame(sweep)
    for family, rows in frame.groupby("group"):
        runs = sweep.runs.loc[sweep.runs["model.family"] == family, "run"]
        table = sweep.layers[sweep.layers["run"].isin(runs)]
        for layer in (1, 4, 5):
            at = table[(table["layer"] == layer) & (table["step"] == 40)]["update_ratio"]
            found = rows[(rows["layer"] == layer) & (rows["step"] == 40)]
            assert found["value"].item() == pytest.approx(np.prod(at) ** (1 / 3))
            assert found["seeds"].item() == 3


def test_what_is_drawn_is_the_frame(sweep):
    assert_drawn(speed_picture(sweep), "value")


def test_the_readout_is_dashed_and_in_the_legend(sweep):
    for ax in speed_picture(sweep).figure.axes:
        dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
        assert [line.get_label() for line in dashed] == ["readout"]
        assert ax.get_legend_handles_labels()[1] == ["layer 1", "last hidden layer", "readout"]


def test_no_updates_are_missing(sweep):
    still = sweep.select(list(sweep.runs["run"]))
    still.layers["update_ratio"] = 0.0
    with pytest.raises(Missing, match="no updates"):
        speed_picture(still)
