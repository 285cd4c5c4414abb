import math

import pytest

from vgexp.numerics.roots import root


@pytest.mark.parametrize("sign", [1, -1])
def test_a_sign_change_in_either_direction(sign):
    assert root(lambda x: sign * (math.exp(x) - 3), -1.0, 5.0) == pytest.approx(math.log(3), abs=2e-12)


def test_a_jump():
    assert root(lambda x: 1.0 if x > 0.3 else -1.0, 0.0, 1.0) == pytest.approx(0.3, abs=2e-12)


def test_a_root_at_an_end():
    assert root(lambda x: x - 1, 0.0, 1.0) == 1.0
    assert root(lambda x: x, 0.0, 1.0) == pytest.approx(0.0, abs=2e-12)


def test_numbers_that_lie_further_apart_than_the_precision():
    assert root(lambda x: x - 5e6, 0.0, 1e7) == pytest.approx(5e6, rel=1e-15)
