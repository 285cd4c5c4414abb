import math

import pytest

from vgexp.watching.remedies import GENERAL, remedy


def test_the_critical_scale_is_named_where_theory_has_one():
    text = remedy("vanishing", [("relu", math.sqrt(1 / 3 / 256), 256)] * 5)
    assert text.startswith(
        "weights of std 0.0884 at fan-in 256 before relu: sigma_w = 1.41 is critical, it is 0.577 now"
    )
    assert text.endswith(GENERAL["vanishing"])


@pytest.mark.parametrize("layers", [[], [("gelu", 0.1, 100)], [("", 0.1, 100)], [("relu", math.sqrt(2 / 100), 100)]])
def test_where_the_scale_is_not_to_blame_it_is_not_named(layers):
    assert remedy("exploding", layers) == GENERAL["exploding"]
