import math

import pytest

from vgexp.numerics.roots import root


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_change_in_either_direction(sign):
    assert root(lambda x: sign * (math.exp(x) - 3), -1.0, 5.0) == pytest.approx(math.log(3), abs=2e-12)


def test_a_jump():
    assert root(lambda x: 1.0 if x > 0.3 else -1.0, 0.0, 1.0) == pytest.approx(0.3, abs=2e-12)
