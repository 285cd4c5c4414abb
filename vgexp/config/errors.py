"""Bad values, each in one line."""

from typing import Any


class ConfigError(ValueError):
    """A bad value: the field, what it got and what it accepts."""

    def __init__(self, field: str, got: Any, accepts: str) -> None:
        super().__init__(field, got, accepts)

    def __str__(self) -> str:
        field, got, accepts = self.args
        return f"{field}: got {got!r}, accepts {accepts}"

    def __reduce__(self) -> tuple[Any, ...]:
        """How it travels from a worker; a subclass may be made of something else than its `args`."""
        return Exception.__new__, (type(self), *self.args), vars(self)


def first_line(error: BaseException) -> str:
    """An error in one line: the first of its message, or its name where it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
