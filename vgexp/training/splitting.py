"""Splitting: what an interrupted stack saved becomes what its parts saved, each as if it had trained alone."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from vgexp.config import Run
from vgexp.networks.identity import identity
from vgexp.results.writing import Store, runs_frame, stack_id

OF_MEMBERS = ("diverged_at", "parts", "optimizer")
"""The entries of a state whose tensors have the members as their first axis."""


def split_saves(store: Store, runs: Sequence[Run], parts: Sequence[Sequence[Run]]) -> None:
    """Gives each part of a stack its rows and its members' share of the state, which is then gone.

    Of a state that cannot be taken up nothing is given; it is then said that its runs start again.
    """
    whole = stack_id(runs)
    state = store.load_state(whole, runs)
    if state is None:
        return
    places = {identity(run): place for place, run in enumerate(runs)}
    try:
        step = int(state["step"])
        if store.counts(whole, step) != state["rows"]:
            raise ValueError("its tables are not whole")
        states = [_of_part(state, [places[identity(run)] for run in part], len(runs)) for part in parts]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        store.refuse_state(whole, f"{type(error).__name__}: {error}")
        return
    for part, theirs in zip(parts, states, strict=True):
        stack = stack_id(part)
        # Tables before the state, as in every save: a state never knows more than they do.
        store.hand_over(whole, stack, runs_frame(part, stack, status="running", step=step, message=""), step)
        store.save_state(stack, theirs | {"rows": store.counts(stack, step)})
    store.drop_state(whole)


def _of_part(state: dict[str, Any], places: Sequence[int], count: int) -> dict[str, Any]:
    """The state of the members at some places of `count`, with their share of the time and the memory."""
    share = len(places) / count
    members = {name: _members(state[name], places, count) for name in OF_MEMBERS}
    return {**state, **members, **{name: state[name] * share for name in ("seconds", "peak_bytes")}}


def _members(value: Any, places: Sequence[int], count: int) -> Any:
    if isinstance(value, Tensor):
        if value.shape[0] != count:
            raise ValueError(f"of {value.shape[0]} members")
        return value[list(places)]
    return {name: _members(below, places, count) for name, below in value.items()}
