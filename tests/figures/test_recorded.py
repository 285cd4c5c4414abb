import numpy as np
import pandas as pd
import pytest

from vgexp.claims.statements import Missing
from vgexp.figures.recorded import LARGEST, finite, hidden, positive, recorded

ROWS = pd.DataFrame({"run": ["a", "b", "c"], "x": [1.0, np.inf, -2.0], "y": [np.nan, 3.0, 2 * LARGEST]})


def test_numbers_that_no_axis_shows_are_left_out():
    assert finite(ROWS, "x", "y").fillna(-9).to_numpy().tolist() == [["a", 1, -9], ["b", -9, 3], ["c", -2, -9]]
    assert positive(ROWS, "x").to_numpy()[:, :2].tolist() == [["a", 1.0]]
    assert positive(ROWS, "no such column").empty


def test_runs_without_rows_are_counted(sweep):
    few = sweep.select(list(sweep.runs["run"]))
    ids = set(sweep.runs.loc[sweep.runs["model.family"] == "plain", "run"])
    found = recorded(few, few.layers[~few.layers["run"].isin(ids)], "layers")
    assert list(found.groups) == ["residual"] and found.note == " 3 of 6 runs have no layers."
    assert recorded(few, few.layers, "layers").note == ""
    with pytest.raises(Missing, match="no layers"):
        recorded(few, few.layers.head(0), "layers")


def test_hidden_layers_are_those_of_the_last_matrix_below_the_readout(sweep):
    assert set(hidden(sweep)["layer"]) == {1, 2, 3, 4} and set(hidden(sweep)["part"]) == {""}
