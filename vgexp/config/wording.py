"""Wording: numbers and values as a line for a person has them."""

SHOWN = 200
"""Characters of a long text that are shown: its first and its last."""


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "seed"), counted(0, "seed"), counted(3, "seed")
    ('1 seed', '0 seeds', '3 seeds')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shortened(text: str, shown: int = SHOWN) -> str:
    """A text without its middle, where it is long."""
    return text if len(text) <= shown else f"{text[: shown // 2]}...{text[-shown // 2 :]}"
