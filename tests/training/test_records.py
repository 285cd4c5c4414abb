"""From observations to tables."""

from dataclasses import replace

import numpy as np
import pytest
from samples import small

from vgexp.training import records


def test_grad_rms_is_over_all_weights(train_all):
    training = train_all(small(steps=0))
    tables = training.records.tables()
    counts = np.array([layer.weight_MIO[0].numel() for layer in training.stack.network.matrices])
    dw = tables["layers"]["dw_rms"].to_numpy()
    expected = np.sqrt((dw**2 * counts).sum() / counts.sum())
    assert tables["steps"]["grad_rms"].iloc[0] == pytest.approx(expected)


def test_one_row_a_run_step_layer_and_part(train_all):
    run = small(steps=4, model__family="residual", model__branch_layers=2, probe__tier="full", probe__every=2)
    layers = train_all(run, replace(run, seed=1)).records.tables()["layers"]
    assert layers[["run", "step", "layer", "part"]].duplicated().sum() == 0
    assert len(layers) == 2 * 3 * 6
    assert layers["dx_rms"].notna().sum() == 2 * 3 * 3  # a block has one state, the readout none
    assert layers.loc[layers["part"] == "inner", "dx_rms"].isna().all()


def test_what_is_gathered_in_between_changes_nothing(train_all, monkeypatch):
    run = small(steps=9, probe__tier="full", eval__every=3, probe__every=2)
    whole = train_all(run).records.tables()
    monkeypatch.setattr(records, "GATHERED", 1)
    for name, table in train_all(run).records.tables().items():
        assert table.map(repr).equals(whole[name].map(repr)), name


def test_the_update_ratio_knows_each_members_learning_rate(train_all):
    runs = [small(steps=0, optim__lr=lr) for lr in (0.1, 0.3)]
    ratio = train_all(*runs).records.tables()["layers"].pivot(index="layer", columns="run", values="update_ratio")
    one, other = (ratio[train_all(run).records.runs[0]] for run in runs)
    assert (other / one).to_numpy() == pytest.approx(3.0)


def test_steps_without_an_evaluation_have_nan_there(train_all):
    steps = train_all(small(steps=4, eval__every=[2], probe__every="ends")).records.tables()["steps"]
    assert list(steps["step"]) == [0, 2, 4]
    assert list(np.isnan(steps["valid_error"])) == [True, False, True]
    assert list(np.isnan(steps["train_loss"])) == [False, True, False]
