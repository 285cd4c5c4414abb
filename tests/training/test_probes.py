from dataclasses import replace

import numpy as np
import pytest
from samples import small

from vgexp.numerics.quantities import QUANTITIES, Quantity, largest


def test_t_steps_give_t_plus_one_observations_on_schedule(train_all):
    tables = train_all(small(steps=7, probe__every=3)).records.tables()
    assert sorted(tables["layers"]["step"].unique()) == [0, 3, 6, 7]
    assert list(tables["steps"]["examples"]) == [0, 18, 36, 42]


def test_rows_are_the_parts_in_order(train_all):
    run = small(steps=0, model__family="residual", model__branch_layers=2)
    probe = train_all(run, replace(run, seed=1)).probe
    assert list(probe.rows) == [(1, ""), (2, "inner"), (2, ""), (3, "inner"), (3, ""), (4, "")]
    assert [probe.rows[1, ""], probe.rows[4, ""]] == [slice(0, 2), slice(10, 12)]


def test_saturation_is_no_quantity_of_a_piecewise_linear_phi(train_all):
    of = {phi: train_all(small(steps=0, model__activation=phi)).probe.of["slope"] for phi in ("tanh", "relu")}
    assert ("saturation" in of["tanh"], "saturation" in of["relu"]) == (True, False)


def test_columns_start_empty(train_all):
    probe = train_all(small(steps=0)).probe
    assert probe.zeros() == [0.0] * 4 and np.isnan(probe.blank()).all()
    probe.zeros()[0] = 1.0
    assert probe.zeros()[0] == 0.0  # a new one every time


def test_a_quantity_of_ones_own_is_measured_in_the_full_tier(train_all, monkeypatch):
    monkeypatch.setitem(QUANTITIES, "h_max", Quantity("h", largest))
    table = train_all(small(steps=0, probe__tier="full")).records.tables()["layers"]
    assert table["h_max"].notna().sum() == 3
    assert table["h_max"].dropna().to_numpy() == pytest.approx(1.0, abs=0.7)
    assert "h_max" not in train_all(small(steps=0)).records.tables()["layers"]
