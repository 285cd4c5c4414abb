"""vgexp: an instrument for the study of vanishing and exploding gradients.

>>> import vgexp
>>> results = vgexp.run("data=digits", "model.depth=5,10", "model.width=50", "steps=0")  # doctest: +SKIP
>>> results.layers  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vgexp.experiment import predict, run
    from vgexp.store import read

__all__ = ["predict", "read", "run"]

_HOME = {"predict": "vgexp.experiment", "read": "vgexp.store", "run": "vgexp.experiment"}


def __getattr__(name: str) -> Any:
    """Public names load their modules (and torch) when first asked for: `vgexp --help` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'vgexp' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
