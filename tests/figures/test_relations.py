from dataclasses import replace

import numpy as np
import pytest
from drawn import assert_drawn
from many import many
from scipy import stats

import vgexp
from vgexp.config.errors import ConfigError
from vgexp.figures.relations import relation_frame, relation_picture


def test_what_is_recorded_by_layer_over_layers(sweep):
    frame = relation_frame(sweep, None, "w_rms", 40)
    assert set(frame["over"]) == {"layer"} and set(frame["step"]) == {40}
    plain = sweep.runs.loc[sweep.runs["model.family"] == "plain", "run"]
    table = sweep.layers[sweep.layers["run"].isin(plain) & (sweep.layers["step"] == 40) & (sweep.layers["part"] == "")]
    for _, row in frame[frame["group"] == "plain"].iterrows():
        logs = np.log10(table.loc[table["layer"] == row["x"], "w_rms"])
        assert row["value"] == pytest.approx(10 ** logs.mean())
        low, high = 10 ** np.array(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs)))
        assert (row["low"], row["high"], row["seeds"]) == (pytest.approx(low), pytest.approx(high), 3)


def test_a_layer_is_a_series_over_other_axes(sweep):
    frame = relation_frame(sweep, "model.family", "dz_rms")
    assert set(frame["x"]) == {"plain", "residual"} and set(frame["layer"]) == {1, 2, 3, 4}
    assert set(frame["step"]) == {0} and len(frame) == 8 and frame["group"].nunique() == 1
    steps = relation_frame(sweep, "step", "dz_rms")
    assert set(steps["x"]) == set(sweep.layers["step"])


def test_what_is_recorded_by_run_over_a_field(sweep):
    frame = relation_frame(sweep, "family", "final_train_loss")
    for family in ("plain", "residual"):
        losses = sweep.runs.loc[sweep.runs["model.family"] == family, "final_train_loss"]
        assert frame.loc[frame["x"] == family, "value"].item() == pytest.approx(losses.mean())
    last = relation_frame(sweep, "family", "train_loss")
    assert set(last["step"]) == {40}
    np.testing.assert_allclose(last["value"], frame["value"])


@pytest.mark.parametrize(
    ("x", "y"),
    [(None, None), ("step", "dz_rms"), ("family", "dz_rms"), ("step", "train_loss"), ("family", "final_train_loss")],
)
def test_what_is_drawn_is_the_frame(sweep, x, y):
    picture = relation_picture(sweep, x, y)
    assert_drawn(picture, "value", "low", "high")
    assert "3 seeds" in picture.caption
    picture.figure.draw_without_rendering()


def test_numbers_over_decades_have_a_log_axis_and_many_groups_a_panel_for_each_value(sweep):
    results = many(sweep, optim__lr=[0.001, 0.01, 0.1, 1.0], init__name="abc")
    picture = relation_picture(results, "lr", "final_train_loss", facet="init.name")
    assert len(picture.figure.axes) == 3 and picture.figure.axes[-1].get_xscale() == "log"
    assert [ax.get_xlabel() for ax in picture.figure.axes] == ["", "", "lr"]
    assert "over optim.lr: mean" in picture.caption


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"y": "nothing"}, "--y: got 'nothing', accepts a column that was recorded: z_rms, "),
        ({"x": "width"}, "--x: got 'width', accepts what these runs differ in: layer, step, model.family"),
        ({"step": 3000}, "--step: got 3000, accepts a step that was recorded: 0, "),
        ({"x": "step", "step": 3}, "--step: got 3, accepts no step where dz_rms is drawn over step"),
        ({"x": "layer", "y": "final_train_loss"}, "--x: got 'layer', accepts what these runs differ in: model.family"),
    ],
)
def test_what_is_not_there(sweep, choices, message):
    with pytest.raises(ConfigError) as error:
        relation_picture(sweep, **choices)
    assert str(error.value).startswith(message)


def test_a_single_run_has_no_field_to_be_drawn_over():
    one = vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=2")
    with pytest.raises(ConfigError, match="--x"):
        relation_picture(one, y="final_train_loss")


@pytest.mark.parametrize("last", [-0.5, 0.0, 0.3])
def test_no_number_is_lost_on_a_log_axis(sweep, last):
    layers = sweep.layers.assign(h_mean=sweep.layers["layer"].map({1: 0.001, 2: 0.2, 3: 0.05, 4: last}))
    picture = relation_picture(replace(sweep, layers=layers), "layer", "h_mean")
    [ax] = picture.figure.axes
    assert ax.get_yscale() == ("log" if last > 0 else "linear") and ax.get_ylim()[0] < min(0.001, last)


def test_runs_in_which_a_field_is_not_set_have_a_place():
    results = vgexp.run("data=digits", "model.depth=2", "model.width=4", "steps=1", "optim.clip=null,0.5,2")
    picture = relation_picture(results, "optim.clip", "final_train_loss")
    [ax] = picture.figure.axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["not set", "0.5", "2.0"]
    assert np.concatenate([line.get_xdata() for line in ax.get_lines()]).max() == 2
    assert_drawn(picture, "value")
