"""Bad values, each in one line."""

from typing import Any

SHOWN = 200
"""Characters of a value, or of the name of a field, that an error shows: the first and the last of however many."""


class ConfigError(ValueError):
    """A bad value: the field, what it got and what it accepts."""

    def __init__(self, field: str, got: Any, accepts: str) -> None:
        super().__init__(field, got, accepts)

    def __str__(self) -> str:
        field, got, accepts = self.args
        return f"{shortened(field)}: got {shortened(_repr(got))}, accepts {accepts}"

    def __reduce__(self) -> tuple[Any, ...]:
        """How it travels from a worker; a subclass may be made of something else than its `args`."""
        return Exception.__new__, (type(self), *self.args), vars(self)


def first_line(error: BaseException) -> str:
    """An error in one line: the first of its message, or its name where it has none."""
    return str(error).splitlines()[0] if str(error).strip() else type(error).__name__


def shortened(text: str) -> str:
    """A text without its middle, where it is long."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}...{text[-SHOWN // 2 :]}"


def _repr(got: Any) -> str:
    try:
        return repr(got)
    except ValueError:  # an integer of thousands of digits
        return f"{type(got).__name__} too long to be shown"
