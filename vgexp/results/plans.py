"""The plan of a results folder: every run that was asked for, and which grid it belongs to."""

import json
from pathlib import Path
from typing import Any

from vgexp.config import RESULTS_VERSION


def read_plan(folder: Path, damaged: list[str] | None = None) -> dict[str, Any]:
    """The plan of a folder; an empty one where there is none or it cannot be read."""
    path = folder / "plan.json"
    if not path.exists():
        return empty_plan()
    try:
        return empty_plan() | json.loads(path.read_text())
    except ValueError as error:
        if damaged is not None:
            damaged.append(f"{path}: {error}")
        return empty_plan()


def empty_plan() -> dict[str, Any]:
    """A plan of nothing."""
    return {"version": RESULTS_VERSION, "runs": {}, "grids": {}, "left_out": {}, "commands": []}


def merged(old: Any, new: Any) -> Any:
    """One entry of two plans: what the newer says of a run or grid, and what only one of them has."""
    return {**old, **new} if isinstance(old, dict) else [*old, *(item for item in new if item not in old)]
