"""Settings: what is known of a field of the config beside its default, and dataclass fields that carry it.

Its meaning, the values that it accepts, whether members of one stack may differ in it, whether it can change a number,
and who decides whether it is read at all.
"""

from dataclasses import dataclass, field
from typing import Any

from vgexp.config.rules import Rule


@dataclass(frozen=True)
class Field:
    """What is known of a field of the config, its default apart."""

    meaning: str
    rule: Rule
    """What it accepts. Where the names of a registry are accepted, the rule asks for a name only."""
    member: bool = False
    """Whether members of one stack may differ in it; all other fields are structure."""
    in_identity: bool = True
    """Whether it can change a number. The others change where and how a run is computed."""
    read_by: tuple[str, ...] = ()
    """The fields that decide whether this one matters, as `optim.name` of `optim.momentum`: it does where what each of
    them chooses reads it, and with numbers as `vgexp.networks.identity` says."""
    of_sweep: bool = False
    """Whether it belongs to the sweep, not to each of its runs: no table has it."""
    none_apart: bool = False
    """Whether members that have none of it, null, are in stacks of their own."""
    type: Any = None
    """The type that it is declared with."""


def setting(default: Any, meaning: str, rule: Rule, **known: Any) -> Any:
    """A dataclass field with what is known of it."""
    metadata = {"field": Field(meaning, rule, **known)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
