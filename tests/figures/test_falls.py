import pandas as pd
from drawn import assert_drawn

from vgexp.figures.falls import fall_picture


def test_every_depth_has_its_point_and_the_ends_their_names():
    frame = pd.DataFrame({"depth": [0, 1, 3], "signal": [1.0, 1e-3, 1e-9], "strongest": ["head", "b", "a" * 60]})
    picture = fall_picture(frame)
    assert_drawn(picture, "signal")
    (ax,) = picture.figure.axes
    assert ax.get_yscale() == "log" and [text.get_text() for text in ax.texts] == ["head", "a" * 32]
