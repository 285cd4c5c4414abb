import math

import torch

from vgexp.watching.sheets import NOWHERE, Sheet

HEADS = ((1, "a", 0, "Linear", "", False), (2, "b", 0, "Linear", "tanh", True))


def test_rows():
    parts = [
        (0, "dz_rms", [torch.tensor(3.0), 4.0], 4),  # norms of two passes over four entries
        (1, "h_mean", [0.5, torch.tensor(0.7)], 0),
        (1, "z_rms", [math.inf], 9),
        (NOWHERE, "dw_rms", [2.0], 1),
        (0, "dw_rms", [], 0),
    ]
    sheet = Sheet(7, HEADS, parts, [torch.tensor(2.0)], ("dz_rms",))
    one, two = sheet.rows()
    assert one["step"] == 7 and one["name"] == "a" and two["frozen"] and two["activation"] == "tanh"
    assert one["dz_rms"] == 5 / 2 / 2 and math.isnan(one["dw_rms"]) and one["broken"] == ()
    assert math.isclose(two["h_mean"], 0.6, rel_tol=1e-6) and two["broken"] == ("z_rms",)
    assert sheet.column("dw_rms")[0] == 2.0


def test_steps_share_what_does_not_change():
    one, two = (Sheet(step, HEADS, [(0, "z_rms", [float(step)], 1)]) for step in (1, 2))
    two.share(one)
    assert two.heads is one.heads and two.shape is one.shape and two.rows()[0]["z_rms"] == 2.0
