"""Configs that tests train."""

from dataclasses import replace
from typing import Any

from vgexp.config.fields import DataConfig, EvalConfig, ModelConfig, ProbeConfig, Run


def small(**changes: Any) -> Run:
    """A quick network in float64: 3 x 12 on digits."""
    run = Run(
        steps=10,
        data=DataConfig(name="digits", batch_size=6),
        model=ModelConfig(depth=3, width=12),
        probe=ProbeConfig(every=1),
        eval=EvalConfig(every="never"),
        dtype="float64",
    )
    for key, value in changes.items():
        *path, name = key.split("__")
        if path:
            run = replace(run, **{path[0]: replace(getattr(run, path[0]), **{name: value})})
        else:
            run = replace(run, **{name: value})
    return run
