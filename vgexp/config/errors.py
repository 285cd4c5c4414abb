"""Bad values, each in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vgexp.config.wording import shortened


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
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # somebody's class of errors, which cannot be shown
        lines = []
    return lines[0] if lines else type(error).__name__


def named(error: BaseException) -> str:
    """The class of an error and the first line of its message.

    >>> named(KeyError("x")), named(SystemExit())
    ("KeyError: 'x'", 'SystemExit')
    """
    name, line = type(error).__name__, first_line(error)
    return line if line == name else f"{name}: {line}"


@contextmanager
def outside(field: str, accepts: str, got: Any = None) -> Iterator[None]:
    """Turns whatever code of somebody else's raises into a ConfigError that says it; Ctrl-C stays what it is.

    So an exit in that code is not taken for the command's own. `got`: in place of what it raised, which then stands
    behind what is accepted.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is KeyboardInterrupt:
            raise
        raised = shortened(named(error))
        shown = (raised, accepts) if got is None else (got, f"{accepts} ({raised})")
        raise ConfigError(field, *shown) from error


def _repr(got: Any) -> str:
    try:
        return repr(got)
    except ValueError:  # an integer of thousands of digits
        return f"{type(got).__name__} too long to be shown"
