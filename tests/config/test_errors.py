import pickle

import pytest

from vgexp.config.errors import ConfigError, first_line, named, outside
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


def test_what_is_long_is_shown_without_its_middle():
    said = str(ConfigError("model.width", [1] * 10**6, "an integer"))
    assert (
        len(said) < 300 and said.startswith("model.width: got [1, 1, ") and said.endswith("1, 1], accepts an integer")
    )
    assert len(str(ConfigError("x" * 10**6, 10**9999, "fields"))) < 500


def test_what_code_of_somebody_elses_raises_is_a_bad_value_and_ctrl_c_is_not():
    for error in (SystemExit(0), GeneratorExit(), ValueError("a\nb")):
        line = rf"^field: got 'it', accepts words \({named(error)}\)$"
        with pytest.raises(ConfigError, match=line), outside("field", "words", "it"):
            raise error
    with pytest.raises(KeyboardInterrupt), outside("field", "words"):
        raise KeyboardInterrupt
