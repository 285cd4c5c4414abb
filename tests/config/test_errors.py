from vgexp.config.errors import ConfigError, first_line


def test_an_error_is_one_line_with_the_field_what_came_and_what_is_accepted():
    assert str(ConfigError("model.depth", -3, "an integer of at least 1")) == (
        "model.depth: got -3, accepts an integer of at least 1"
    )


def test_an_error_in_one_line():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
