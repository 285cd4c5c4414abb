import numpy as np
import torch
from drawn import assert_drawn
from torch import nn

import vgexp
from vgexp.figures.watched import QUANTITIES, STEPS_SHOWN, watched_frame, watched_picture


def recorded(steps, updated=False):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    with vgexp.watch(model, every=1, optimizer=optimizer if updated else None) as monitor:
        for _ in range(steps):
            model.zero_grad()
            model(torch.randn(5, 3)).square().mean().backward()
            monitor.step()
            optimizer.step()
    return monitor.frame()


def test_rows_are_those_of_the_monitor():
    frame = recorded(2, updated=True)
    long = watched_frame(frame)
    assert len(long) == 2 * 3 * len(QUANTITIES)
    for _, row in long.iterrows():
        source = frame[(frame["step"] == row["step"]) & (frame["layer"] == row["layer"])]
        assert source[row["quantity"]].item() == row["value"]
        assert source["name"].item() == row["name"]


def test_updates_have_a_panel_where_they_were_measured():
    panels = {updated: len(watched_picture(recorded(2, updated)).figure.axes) for updated in (False, True)}
    assert panels == {False: 3, True: 4}
    assert_drawn(watched_picture(recorded(2, updated=True)), "value")


def test_what_is_drawn_is_the_frame_of_a_few_steps():
    picture = watched_picture(recorded(20))
    steps = list(picture.frame["step"].unique())
    assert len(steps) == STEPS_SHOWN and steps[0] == 0 and steps[-1] == 19
    assert_drawn(picture, "value")


def test_zeros_and_what_is_not_finite_have_no_point():
    frame = recorded(1)
    frame.loc[0, "dz_rms"] = 0.0
    frame.loc[1, "dz_rms"] = np.inf
    long = watched_frame(frame)
    assert list(long.loc[long["quantity"] == "dz_rms", "layer"]) == [frame["layer"].iloc[2]]
