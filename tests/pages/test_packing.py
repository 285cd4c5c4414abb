import base64
import gzip
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgexp.pages.packing import Numbers, packed, packed_json


def unpacked(text):
    """As the page's script does it."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(3, -1)
    lowest = np.zeros((1, planes.shape[1]), np.uint8)
    return np.ascontiguousarray(np.concatenate([lowest, planes]).T).view("<f4").ravel()


@given(st.lists(st.floats(width=64), max_size=30))
def test_numbers_keep_four_digits_and_what_is_not_finite(values):
    numbers = Numbers()
    assert numbers.add(values) == [0, len(values)]
    for found, value in zip(unpacked(numbers.packed()).tolist(), values, strict=True):
        if math.isnan(value):
            assert math.isnan(found)
        elif abs(value) > 3.3e38:
            assert found == math.copysign(math.inf, value)
        elif abs(value) < 1e-37:  # a float32 has fewer digits there
            assert abs(found) < 1.1e-37
        else:
            assert found == pytest.approx(value, rel=2**-14) or abs(value) > 3e38


def test_series_have_their_places():
    numbers = Numbers()
    assert numbers.add([1.0, 2.0]) == [0, 2]
    assert numbers.add(np.ones((2, 3))) == [2, 6]
    assert unpacked(numbers.packed()).tolist() == [1, 2, 1, 1, 1, 1, 1, 1]
    assert unpacked(Numbers().packed()).tolist() == []


def test_json_has_finite_numbers_only_and_the_same_bytes_each_time():
    assert json.loads(gzip.decompress(base64.b64decode(packed_json({"a<": [1.5, None]})))) == {"a<": [1.5, None]}
    assert packed(b"x") == packed(b"x")
    with pytest.raises(ValueError):
        packed_json([math.inf])
