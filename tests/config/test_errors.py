import pickle

import pytest

from vgexp.config.errors import ConfigError, first_line
from vgexp.data.originals import Unavailable


def test_an_error_is_one_line_with_the_field_what_came_and_what_is_accepted():
    assert str(ConfigError("model.depth", -3, "an integer of at least 1")) == (
        "model.depth: got -3, accepts an integer of at least 1"
    )


@pytest.mark.parametrize("error", [ConfigError("seed", [1], "an integer"), Unavailable("mnist", "a file is missing")])
def test_errors_come_back_whole_from_another_process(error):
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error) and str(back) == str(error) and vars(back) == vars(error)


def test_an_error_in_one_line():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
