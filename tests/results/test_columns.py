import math
from dataclasses import fields
from pathlib import Path

import pytest
from samples import small

from vgexp.results.columns import COLUMNS, ERRORS, PROVENANCE, TABLES, TENSORS, TIMES, WATCHED, Column, defaults, label
from vgexp.results.reading import CONFIG, read
from vgexp.results.writing import Store
from vgexp.training.loop import train


def test_every_column_of_every_table_is_explained():
    for table in [*TABLES.values(), WATCHED]:
        assert len(set(table.names)) == len(table.names)
        assert set(table.names) <= set(COLUMNS)
    used = {name for table in [*TABLES.values(), WATCHED] for name in table.names}
    assert set(COLUMNS) == used
    assert {*ERRORS, *PROVENANCE, *TIMES} <= set(COLUMNS)
    assert all(column.meaning and column.of in {"", *TENSORS} for column in COLUMNS.values())


@pytest.mark.parametrize("tier", ["light", "full", "cost"])
@pytest.mark.parametrize("family", ["plain", "residual", "reversible"])
def test_what_is_recorded_is_what_the_tables_have(tier, family):
    """No column that is not listed, and none missing that every run has."""
    run = small(steps=1, probe__tier=tier, model__family=family, eval__every="end")
    train([run], Store(Path("here")))
    for name, table in read("here").tables().items():
        if len(table):
            assert set(table) - {"folder", *CONFIG} <= set(TABLES[name].names), name
            assert {*TABLES[name].key, *TABLES[name].columns} <= set(table), name


def test_labels_have_units_and_a_name_of_ones_own_is_its_label():
    assert label("dx_rms") == "gradient dx (rms)"
    assert label("forward_ms") == "forward pass (ms)"
    assert label("h") == "activation h"
    assert label("my_quantity") == label("my_quantity") == "my_quantity"
    assert label("run") == "run"


def test_numbers_that_were_not_measured_are_nan():
    assert math.isnan(defaults("layers")["dx_rms"]) and defaults("layers")["part"] == ""
    assert [field.name for field in fields(Column)] == ["meaning", "label", "unit", "of", "default", "cells"]
