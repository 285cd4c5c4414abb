"""Overrides: what a person types, one `field=value` each, with choices where it is a sweep.

The syntax is Hydra's own: `model.depth=5,10 seed=range(0,5) 'data.range=[-1,1]'`.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from vgexp.config import FIELDS, ConfigError

NOT_TYPED = ("scales", "members")
"""Fields that experiment files and the sweeper set, and nobody on the command line."""


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's parse. Raises ConfigError for what is not `key=value`."""
    try:
        return OverridesParser.create().parse_overrides([quoted(override) for override in overrides])
    except HydraException as error:
        raise ConfigError("command line", _culprit(overrides), f"key=value ({first_line(error)})") from None


def quoted(override: str) -> str:
    """The value `revolve(s)` in quotes, since Hydra would call a function of that name.

    >>> quoted("checkpoint.every=2,revolve(3)")
    "checkpoint.every=2,'revolve(3)'"
    """
    return re.sub(r"(?<!')\brevolve\(\d+\)", r"'\g<0>'", override)


def fields_of(arguments: Sequence[str]) -> list[str]:
    """The overrides among the arguments of a Hydra app, without its flags and their values.

    >>> fields_of(["--cfg", "job", "seed=1"])
    ['seed=1']
    """
    return [
        text
        for before, text in zip(["", *arguments], arguments, strict=False)
        if not text.startswith("-") and ("=" in text or not before.startswith("-"))
    ]


def flattened(overrides: Any) -> Iterator[str]:
    """The strings of nested lists: the grids of an experiment file share parts by reference.

    >>> list(flattened(["seed=0", ["steps=0", ["init.name=he"]]]))
    ['seed=0', 'steps=0', 'init.name=he']
    """
    for item in [overrides] if isinstance(overrides, str) else overrides:
        if isinstance(item, str):
            yield item
        else:
            yield from flattened(item)


def without(overrides: Sequence[str], others: Sequence[str]) -> list[str]:
    """The overrides of those fields that `others` do not set.

    >>> without(["seed=0,1", "steps=10"], ["seed=5"])
    ['steps=10']
    """
    keys = {override.get_key_element() for override in parse(others)}
    return [text for text in overrides if parse([text])[0].get_key_element() not in keys]


def check_single(overrides: Sequence[str]) -> None:
    """Raises ConfigError for the first override with choices."""
    for override in parse(overrides):
        if override.is_sweep_override():
            field, _, choices = str(override.input_line).partition("=")
            raise ConfigError(field, choices, "one value; for a sweep type `vgexp train -m ...`")


def check_keys(overrides: Sequence[str], groups: Collection[str]) -> None:
    """Raises ConfigError for an override of a field that does not exist, with the nearest one that does."""
    known = [*(key for key in FIELDS if key not in NOT_TYPED), *groups]
    for override in parse(overrides):
        key = override.get_key_element().lstrip("+~")
        if key.startswith("hydra") or (key in known and not override.is_add()):
            continue
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else "`vgexp train --cfg job` shows them"
        raise ConfigError(key, override.input_line, f"only fields of the config ({hint})")


def first_line(error: BaseException) -> str:
    """An error in one line: the first of its message, or its name where it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _culprit(overrides: Sequence[str]) -> str:
    """The first override that does not parse."""
    for override in overrides:
        try:
            OverridesParser.create().parse_override(override)
        except HydraException:
            return override
    return " ".join(overrides)
