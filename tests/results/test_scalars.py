import math

import pandas as pd
from samples import small
from watched import mlp, train

from vgexp.results.reading import read
from vgexp.results.scalars import Scalar, by_run, scalars
from vgexp.results.writing import Store
from vgexp.training.loop import train as train_runs


def test_numbers_have_the_name_of_their_column_and_place():
    table = pd.DataFrame({"step": [0, 5], "layer": [1, 12], "dz_rms": [0.5, math.nan], "kind": "a"})
    assert scalars(table) == [Scalar(0, "dz_rms", 0.5)]
    assert scalars(table.fillna(1.0), "layer") == [Scalar(0, "dz_rms/layer01", 0.5), Scalar(5, "dz_rms/layer12", 1.0)]
    assert scalars(table[:0], "layer") == []


def test_later_calls_of_a_layer_have_names_of_their_own():
    frame = train(mlp(), True, steps=1).frame()
    again = frame[frame["name"] == "4"].assign(call=1)
    assert [scalar.name for scalar in scalars(again[["step", "call", "name", "dz_rms"]], "name")] == ["dz_rms/4[1]"]


def test_no_two_numbers_of_a_step_have_one_name(tmp_path):
    """Parts of a layer are told apart."""
    train_runs([small(steps=2, model__family="highway")], Store(tmp_path))
    results = read(tmp_path)
    [(run, found)] = by_run(results.tables())
    assert run == results.runs["run"].item()
    assert len({(scalar.step, scalar.name) for scalar in found}) == len(found)
    assert [scalar.step for scalar in found] == sorted(scalar.step for scalar in found)
    assert {scalar.step for scalar in found} == {0, 1, 2}
    gate = results.layers.query("step == 2 and layer == 2 and part == 'gate'")["dz_rms"].item()
    assert Scalar(2, "dz_rms/layer02.gate", gate) in found
    assert {"train_loss", "dz_rms/layer02"} <= {scalar.name for scalar in found}
