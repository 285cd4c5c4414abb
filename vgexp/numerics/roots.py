"""Roots of functions of one number."""

from collections.abc import Callable

PRECISION = 1e-12


def root(f: Callable[[float], float], low: float, high: float) -> float:
    """The place between two numbers at which f changes its sign, to 1e-12, by bisection: scipy is slow to import.

    >>> f"{root(lambda x: x * x - 2, 0.0, 2.0):.9f}"
    '1.414213562'
    """
    rising = f(high) > 0
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if (f(middle) > 0) == rising else (middle, high)
    return (low + high) / 2
