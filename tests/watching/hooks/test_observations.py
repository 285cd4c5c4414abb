import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vgexp.results.columns import WATCHED
from vgexp.watching.hooks.calls import Call
from vgexp.watching.hooks.graph import ACTIVATION_NODES
from vgexp.watching.hooks.layers import Layer
from vgexp.watching.hooks.observations import Observation, host, table


def calls():
    one, two = (Call(Layer(name, nn.Linear(2, 2), []), 0) for name in "ab")
    for x in (torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])):  # two passes of two entries each
        one.norm("dz_rms", x)
    two.mean("h_mean", 0.5)
    two.mean("h_mean", torch.tensor(0.7, dtype=torch.float64))
    two.norm("z_rms", torch.tensor([[math.inf]]))
    two.activations += [ACTIVATION_NODES[name] for name in ("Tanh", "Relu", "Tanh")]
    return [one, two]


def test_rows():
    idle = Call(Layer("c", nn.Linear(2, 2), []), 0)
    idle.norm("dw_rms", torch.tensor([2.0]))
    observation = Observation(7, calls(), [idle], torch.tensor(2.0), ("c",))
    one, two = observation.rows()
    assert one["step"] == 7 and (one["layer"], one["name"], two["layer"], two["name"]) == (1, "a", 2, "b")
    assert one["dz_rms"] == pytest.approx(5 / 2 / 2) and math.isnan(one["dw_rms"]) and one["broken"] == ()
    assert two["h_mean"] == pytest.approx(0.6) and two["broken"] == ("z_rms",) and two["activation"] == "tanh relu"
    np.testing.assert_equal(observation.column("dw_rms"), [math.nan, math.nan, 2.0])


def test_a_measured_nan_is_told_from_what_is_not_measured():
    call = calls()[0]
    call.norm("dw_rms", torch.tensor([math.nan]))
    call.norm("w_rms", torch.empty(0, 3))
    (row,) = Observation(0, [call]).rows()
    assert math.isnan(row["dw_rms"]) and math.isnan(row["w_rms"]) and row["broken"] == ("dw_rms",)


def test_steps_share_what_does_not_change():
    one, two = (Observation(step, calls()) for step in (1, 2))
    two.share(one)
    assert two.identities is one.identities and two.rows()[0]["step"] == 2


def test_a_table_has_a_row_a_step_and_call():
    frame = table([Observation(step, calls()) for step in (1, 4)])
    assert frame["step"].tolist() == [1, 1, 4, 4] and frame["name"].tolist() == ["a", "b"] * 2
    assert frame["dz_rms"].tolist() == pytest.approx([2.5, math.nan] * 2, nan_ok=True)
    numbers = frame.select_dtypes("number").dtypes
    assert table([]).dtypes[numbers.index].equals(numbers) and list(table([])) == list(frame)


def test_the_documentation_explains_every_column():
    text = (Path(__file__).parents[3] / "docs" / "watch.md").read_text()
    explained = text[text.index("| column |") : text.index("- `.grad`")]
    names = re.findall(r"`(\w+)`", " ".join(line.split(" | ")[0] for line in explained.splitlines()[2:]))
    assert sorted(names) == sorted(WATCHED.names) and tuple(table([])) == WATCHED.names


def test_numbers_come_from_wherever_they_are():
    assert host([1.0, torch.tensor(2.0), np.float64(3.0)]) == [1.0, 2.0, 3.0]
