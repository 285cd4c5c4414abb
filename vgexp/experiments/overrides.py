"""Overrides: what a person types, one `field=value` each, with choices where it is a sweep.

The syntax is Hydra's own: `model.depth=5,10 seed=range(0,5) 'data.range=[-1,1]'`.
"""

import difflib
import math
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, RangeSweep
from hydra.errors import HydraException

from vgexp.config import FIELDS, ConfigError

ACCEPTED = (
    """field=value, or choices: seed=0,1 seed=range(0,5); a value with spaces or brackets in quotes: 'name="a (b)"'"""
)
"""What is accepted of an argument, as an error says it."""
MISREAD = r"\brevolve\(\d+\)|\b1/sqrt\(L\)"
TO_QUOTE = re.compile(
    r"""'[^']*'|"[^"]*"|"""  # what is in quotes already comes first
    rf"""({MISREAD})|((?:(?!{MISREAD})[^,:[\]{{}}()'"])+)"""
)
"""Of values, what Hydra would take for something else, or for nothing: groups of functions, and of words."""
NO_WORD = re.compile(r"[+-]?(\.?\d[\w./+-]*|nan|inf|true|false)", re.ASCII | re.IGNORECASE)
"""What Hydra takes for a number or a truth value, or might."""
CHOICES = "a list of choices or range(...), with at least one value"
NOT_TYPED = ("scales", "members")
"""Fields that experiment files and the sweeper set, and nobody on the command line."""


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's parse. Raises ConfigError for what is not `field=value`."""
    parser, parsed = OverridesParser.create(), []
    for override in overrides:
        try:
            found = parser.parse_override(quoted(override))
        except (HydraException, RecursionError, ValueError):  # ValueError: an integer of thousands of digits
            found = None
        if found is None or not found.key_or_group:
            raise ConfigError("override", override, ACCEPTED)
        parsed.append(found)
    return parsed


def quoted(override: str) -> str:
    """The values `revolve(s)` and `1/sqrt(L)` in quotes, since Hydra would call functions of these names, values with
    letters that it does not know, and a name that it would take for a number or a truth value.

    >>> quoted("checkpoint.every=2,revolve(3)"), quoted("name=größer"), quoted("name=2024_01_05")
    ("checkpoint.every=2,'revolve(3)'", "name='größer'", "name='2024_01_05'")
    """
    key, equals, values = override.partition("=")
    if key == "name" and NO_WORD.fullmatch(values):
        return f"{key}='{values}'"
    return key + equals + TO_QUOTE.sub(_in_quotes, values)


def _in_quotes(found: re.Match[str]) -> str:
    """A function in quotes, and words with letters that Hydra does not know, without the spaces around them."""
    function, words = found.groups(default="")
    unknown = function or words.strip()
    return found[0].replace(unknown, f"'{unknown}'") if function or not unknown.isascii() else found[0]


def flattened(overrides: Any) -> Iterator[str]:
    """The strings of nested lists: the grids of an experiment file share parts by reference.

    Raises ConfigError for what is neither.

    >>> list(flattened(["seed=0", ["steps=0", ["init.name=he"]]]))
    ['seed=0', 'steps=0', 'init.name=he']
    """
    for item in [overrides] if isinstance(overrides, str) else overrides:
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            yield from flattened(item)
        else:
            raise ConfigError("scales", item, "lists of overrides, each of them text")


def without(overrides: Sequence[str], fields: Collection[str]) -> list[str]:
    """The overrides of other fields than these.

    >>> without(["seed=0,1", "steps=10"], ["seed"])
    ['steps=10']
    """
    return [text for text in overrides if parse([text])[0].get_key_element() not in fields]


def count(override: Override) -> int:
    """How many choices an override has, none of them made: a range may have billions.

    Raises ConfigError for one that has none, or no end.

    >>> [count(override) for override in parse(["seed=range(0,1000000000)", "optim.lr=0.1,0.2", "seed=3"])]
    [1000000000, 2, 1]
    """
    value = override.value()
    if not override.is_sweep_override():
        return 1
    found = len(value.list) if isinstance(value, ChoiceSweep) else 0
    if isinstance(value, RangeSweep) and value.step and value.start is not None and value.stop is not None:
        try:
            length = (value.stop - value.start) / value.step
        except OverflowError:
            length = math.inf
        found = math.ceil(length) if 0 < length < math.inf else 0
    if not found:
        raise ConfigError(override.get_key_element(), override.get_value_string(), CHOICES)
    return found


def choices(override: Override) -> list[str]:
    """An override for each of its choices, itself where it has none. Raises ConfigError for what cannot be listed."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    count(override)
    key = override.get_key_element()
    try:
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    except (HydraException, ValueError):
        raise ConfigError(key, override.get_value_string(), CHOICES) from None


def check_single(overrides: Sequence[str], instead: str = "; for a sweep type `vgexp train -m ...`") -> None:
    """Raises ConfigError for the first override with choices; `instead`: what to do, in words."""
    for override in parse(overrides):
        if override.is_sweep_override():
            text = override.get_value_string()
            raise ConfigError(override.get_key_element(), text, f"one value{instead}")


def typed_keys(groups: Collection[str]) -> list[str]:
    """What a user may give a value: the fields of the config, and its groups, which bundle fields."""
    return [*(key for key in FIELDS if key not in NOT_TYPED), *groups]


def check_keys(overrides: Sequence[str], groups: Collection[str]) -> None:
    """Raises ConfigError for an override of a field that does not exist, with the nearest one that does.

    Of Hydra's own settings only the launcher can be chosen: the others are what vgexp relies on.
    """
    known = typed_keys(groups)
    for override in parse(overrides):
        key = override.get_key_element().lstrip("+~")
        if key == "hydra/launcher" or (key.startswith("hydra.launcher.") and not key.endswith("_target_")):
            continue
        if key.startswith("hydra"):
            raise ConfigError(key, override.input_line, "hydra/launcher and hydra.launcher.* only")
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]}?" if close else "`vgexp train --cfg job` shows them"
            raise ConfigError(key, override.input_line, f"only fields of the config ({hint})")
        if override.type != OverrideType.CHANGE:
            raise ConfigError(key, override.input_line, f"{key}=value alone: every field has a value already")


def latest(overrides: Sequence[str]) -> list[str]:
    """The overrides without those that a later one of the same field replaces.

    >>> latest(["seed=0,1", "steps=5", "seed=3"])
    ['steps=5', 'seed=3']
    """
    places = {override.get_key_element(): place for place, override in enumerate(parse(overrides))}
    return [overrides[place] for place in sorted(places.values())]
