import numpy as np
import pandas as pd
import pytest

import vgexp
from vgexp.claims.statements import Missing
from vgexp.figures.curves import curve_picture
from vgexp.figures.profiles import profile_picture
from vgexp.figures.recorded import LARGEST, finite, hidden, overview, positive, recorded
from vgexp.figures.relations import relation_picture

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


def test_of_many_runs_the_first_seeds_of_the_first_groups_are_looked_at(monkeypatch):
    results = vgexp.run(
        "data=digits", "model.depth=2", "model.width=4", "steps=0", "seed=range(0,4)", "init.name=he,lecun,glorot"
    )
    assert overview(results, 2) == (results, "")
    monkeypatch.setattr("vgexp.figures.recorded.LARGE", 6)
    some, said = overview(results, 2)
    assert len(some.runs) == 6 and some.runs["init.name"].nunique() == 2 and set(some.runs["seed"]) == {0, 1, 2}
    assert said == " Of 12 runs 6 were looked at: the first seeds of the first groups."
    monkeypatch.setattr("vgexp.figures.recorded.MARKS", 4)
    rows = results.table("layers", ["run"])
    found = recorded(results, rows, "rows", marks=2)
    assert len(found.groups) == 2 and found.note == " Shown are 2 of 3 groups, evenly spaced."


def test_one_group_is_shown_however_long_it_is(sweep):
    found = recorded(sweep, sweep.layers, "layers", marks=10**6)
    assert list(found.groups) == ["plain"] and found.note == " Shown are 1 of 2 groups, evenly spaced."
    for picture in (curve_picture, profile_picture, relation_picture):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("vgexp.figures.recorded.MARKS", 1)
            assert "Shown are 1 of 2 groups" in picture(sweep).caption
