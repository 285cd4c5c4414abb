"""Schedules: at which of the steps 0..T something happens.

A schedule is written as `never`, `start` (step 0), `end` (step T), `ends` (both), `log` (five a decade, with
both ends), an integer k (every k steps, with both ends) or a list of steps.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

WORDS = ("never", "start", "end", "ends", "log")
ACCEPTS = f"{', '.join(WORDS)}, an integer of at least 1, or a list of steps"
PER_DECADE = 5


def schedule(spec: str | int | Sequence[int], steps: int) -> Callable[[int], bool]:
    """The predicate `step -> due?` of a schedule over the observations 0..steps.

    Raises ValueError when `spec` is none of the forms above.

    >>> [step for step in range(101) if schedule("log", 100)(step)]
    [0, 1, 2, 3, 4, 6, 10, 16, 25, 40, 63, 100]
    >>> [step for step in range(11) if schedule(4, 10)(step)]
    [0, 4, 8, 10]
    """
    if isinstance(spec, int) and not isinstance(spec, bool) and spec >= 1:
        return lambda step: step % spec == 0 or step == steps
    listed = _listed(spec, steps)
    return listed.__contains__


def _listed(spec: str | int | Sequence[int], steps: int) -> frozenset[int]:
    if spec == "never":
        return frozenset()
    if spec == "start":
        return frozenset({0})
    if spec == "end":
        return frozenset({steps})
    if spec == "ends":
        return frozenset({0, steps})
    if spec == "log":
        decades = len(str(max(steps, 1)))
        spaced = (round(10 ** (i / PER_DECADE)) for i in range(decades * PER_DECADE))
        return frozenset({0, steps, *(step for step in spaced if step <= steps)})
    if isinstance(spec, Sequence) and not isinstance(spec, str) and all(_is_step(step) for step in spec):
        return frozenset(spec)
    raise ValueError(f"got {spec!r}, accepts {ACCEPTS}")


def due(spec: str | int | Sequence[int], steps: int) -> int:
    """How many of the steps 0..steps are due.

    >>> due("log", 100), due(4, 10), due([0, 3, 20], 10)
    (12, 4, 2)
    """
    if isinstance(spec, int):
        return len(range(0, steps, spec)) + 1
    return sum(step <= steps for step in _listed(spec, steps))


def _is_step(step: object) -> bool:
    return isinstance(step, int) and not isinstance(step, bool) and step >= 0


def spelled(spec: str | int | Sequence[int], steps: int, preferred: str) -> Any:
    """One spelling for all schedules of the same steps: the preferred word, else the first word, else every k steps,
    else the list in order.

    >>> spelled([0, 100], 100, "log"), spelled([4, 0, 2, 4], 4, "log"), spelled("ends", 0, "log")
    ('ends', 2, 'log')
    """
    for word in (preferred, *WORDS):
        if _is_due_at(_listed(word, steps), spec, steps):
            return word
    if isinstance(spec, int):
        return spec
    listed = sorted(step for step in _listed(spec, steps) if step <= steps)
    return listed[1] if len(listed) > 2 and _is_due_at(listed, listed[1], steps) else listed


def _is_due_at(listed: Collection[int], spec: str | int | Sequence[int], steps: int) -> bool:
    """Whether a schedule has these steps and no others. Those of an integer are counted: there may be millions."""
    if isinstance(spec, int):
        return len(listed) == due(spec, steps) and all(map(schedule(spec, steps), listed))
    return {step for step in _listed(spec, steps) if step <= steps} == set(listed)
