from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import assert_drawn
from scipy import stats

import vgexp
from vgexp.claims.statements import Missing
from vgexp.config.rows import from_row
from vgexp.figures.profiles import gradient_column, profile_frame, profile_picture, signals
from vgexp.networks.families import FAMILIES
from vgexp.theory.expected import expected
from vgexp.theory.meanfield import covers


def rows_of(frame, **where):
    for column, value in where.items():
        frame = frame[frame[column] == value]
    return frame


def test_values_are_geometric_means_with_student_intervals(sweep):
    frame = profile_frame(sweep)
    for family in ("plain", "residual"):
        runs = sweep.runs.loc[sweep.runs["model.family"] == family, "run"]
        table = sweep.layers[sweep.layers["run"].isin(runs) & (sweep.layers["step"] == 0)]
        for quantity in ("h_std", "dx_rms", "dw_rms"):
            found = rows_of(frame, group=family, quantity=quantity)
            assert list(found["layer"]) == [1, 2, 3, 4]
            log_SL = np.log10(table.pivot(index="run", columns="layer", values=quantity)[[1, 2, 3, 4]])
            np.testing.assert_allclose(found["value"], 10 ** log_SL.mean())
            low, high = stats.t.interval(0.95, 2, log_SL.mean(), log_SL.std(ddof=1) / np.sqrt(3))
            np.testing.assert_allclose(found["low"], 10**low)
            np.testing.assert_allclose(found["high"], 10**high)
            assert (found["seeds"] == 3).all()


def test_theory_is_that_of_the_first_seed(sweep):
    frame = profile_frame(sweep)
    for family in ("plain", "residual"):
        first = rows_of(sweep.runs, **{"model.family": family, "seed": 0}).iloc[0]
        theory = expected(from_row({str(key): value for key, value in first.items()})).set_index("layer")
        for quantity in ("h_std", "dx_rms"):
            found = rows_of(frame, group=family, quantity=quantity).set_index("layer")["theory"]
            np.testing.assert_allclose(found, theory.loc[[1, 2, 3, 4], quantity])
    assert rows_of(frame, quantity="dw_rms")["theory"].isna().all()


def test_theory_ends_where_training_begins(sweep):
    assert profile_frame(sweep, step=40)["theory"].isna().all()


def test_what_is_drawn_is_the_frame(sweep):
    assert_drawn(profile_picture(sweep), "value", "low", "high", "theory")
    trained = profile_picture(sweep, step=40)
    assert_drawn(trained, "value", "low", "high")
    assert "step 40" in trained.caption and "(3 seeds)" in trained.caption


def test_the_gradient_is_the_one_that_the_families_ask_for(sweep):
    plain = sweep.select(list(sweep.runs.loc[sweep.runs["model.family"] == "plain", "run"]))
    assert gradient_column(plain) == "dz_rms"
    assert profile_picture(plain).figure.axes[1].get_ylabel() == "gradient dz (rms)"
    assert gradient_column(sweep) == "dx_rms"
    assert profile_picture(sweep).figure.axes[1].get_ylabel() == "gradient dx (rms)"
    assert signals() == {name: f"{family.signal}_rms" for name, family in FAMILIES.items()}


def test_runs_without_dx_show_dz_and_the_axis_says_both(sweep):
    """Plain networks of a time before dx was recorded, beside residual ones."""
    plain = sweep.runs.loc[sweep.runs["model.family"] == "plain", "run"]
    older = sweep.select(list(sweep.runs["run"]))
    older.layers.loc[older.layers["run"].isin(plain), "dx_rms"] = np.nan
    frame = profile_frame(older)
    assert set(rows_of(frame, group="plain")["quantity"]) == {"h_std", "dz_rms", "dw_rms"}
    assert set(rows_of(frame, group="residual")["quantity"]) == {"h_std", "dx_rms", "dw_rms"}
    picture = profile_picture(older)
    assert picture.figure.axes[1].get_ylabel() == "gradient dz (rms)\ngradient dx (rms)"
    assert_drawn(picture, "value", "low", "high", "theory")


def test_blocks_with_two_matrices_show_the_last_one():
    found = vgexp.run("data=digits", "model.family=residual", "model.branch_layers=2", "model.depth=3", "steps=0")
    frame = rows_of(profile_frame(found), quantity="dw_rms")
    last = found.layers[(found.layers["part"] == "") & (found.layers["layer"] <= 3)]
    np.testing.assert_allclose(frame["value"], last.sort_values("layer")["dw_rms"])


def test_depths_share_a_color_and_are_told_apart_by_marks():
    found = vgexp.run("data=digits", "model.depth=3,20", "model.width=8", "steps=0", "seed=0,1")
    picture = profile_picture(found)
    assert picture.frame.groupby("depth").size().to_dict() == {3: 9, 20: 60}
    ax = picture.figure.axes[1]
    assert len({line.get_color() for line in ax.get_lines()}) == 1
    marks = [line.get_marker() for line in ax.get_lines() if line.get_marker() != "None"]
    assert len(marks) == len(set(marks)) == 2
    (legend,) = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["tanh", "depth 3", "depth 20"]
    assert ax.get_yscale() == "log"


def test_a_gradient_of_exactly_zero_has_no_mark(sweep):
    dead = sweep.select(list(sweep.runs["run"]))
    dead.layers.loc[dead.layers["layer"] == 1, ["dz_rms", "dx_rms"]] = 0.0
    frame = profile_frame(dead)
    first = rows_of(frame, layer=1, quantity="dx_rms")
    assert first["value"].isna().all() and (first["seeds"] == 0).all() and first["theory"].notna().all()


def test_zeros_are_left_out_and_the_caption_says_so(sweep):
    layers = sweep.layers.copy()
    [first, *_] = sweep.runs["run"]
    layers.loc[(layers["run"] == first) & (layers["layer"] == 1), "dz_rms"] = 0.0
    assert (
        "Zeros of 1 run are left out, also of the means." in profile_picture(replace(sweep, layers=layers), 40).caption
    )
    assert "Zeros" not in profile_picture(sweep, 40).caption


def test_nothing_recorded_is_missing(sweep):
    with pytest.raises(Missing, match="no numbers above 0 at step 7"):
        profile_picture(sweep, step=7)
    empty = sweep.select([])
    assert isinstance(empty.layers, pd.DataFrame)
    with pytest.raises(Missing):
        profile_picture(empty)


@pytest.mark.parametrize("key", ["model.family", "model.activation", "init.name", "data.name"])
@pytest.mark.parametrize("name", ["gone", "mnist"])
def test_results_outlive_what_they_were_computed_with(sweep, key, name, monkeypatch, tmp_path):
    """An entry from outside that is not imported here, or data without their files, leave all but the theory."""
    monkeypatch.setenv("VGEXP_DATA", str(tmp_path))
    older = sweep.select(list(sweep.runs["run"]))
    older.runs[key] = name
    assert not covers(from_row(older.runs.iloc[0])) or key == "data.name"
    frame = profile_frame(older)
    assert frame["value"].notna().any() and frame["theory"].isna().all()
    assert gradient_column(older) == ("dz_rms" if key == "model.family" else "dx_rms")
