"""Roots of functions of one number."""

from collections.abc import Callable

PRECISION = 1e-12


def root(f: Callable[[float], float], low: float, high: float) -> float:
    """The place between two numbers at which f changes its sign, to 1e-12 or as close as floats lie.

    By bisection: scipy is slow to import.

    >>> f"{root(lambda x: x * x - 2, 0.0, 2.0):.9f}"
    '1.414213562'
    """
    at_high = f(high)
    if at_high == 0:
        return high
    rising = at_high > 0
    while high - low > PRECISION:
        middle = (low + high) / 2
        if middle in (low, high):  # neighbours: large numbers lie further apart
            break
        low, high = (low, middle) if (f(middle) > 0) == rising else (middle, high)
    return (low + high) / 2
