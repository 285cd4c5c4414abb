"""vgexp: an instrument for the study of vanishing and exploding gradients.

>>> import vgexp
>>> results = vgexp.run("data=digits", "model.depth=5,10", "model.width=50", "steps=0")  # doctest: +SKIP
>>> results.layers  # doctest: +SKIP
>>> with vgexp.watch(model) as monitor:  # doctest: +SKIP
...     loss.backward(); monitor.step()
>>> print(monitor.diagnosis())  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from vgexp import moved

if TYPE_CHECKING:
    from vgexp.experiments import predict, run
    from vgexp.results import read
    from vgexp.watching import diagnose, watch

__all__ = ["diagnose", "predict", "read", "run", "watch"]

moved.install()

_HOME = {
    "diagnose": "vgexp.watching",
    "predict": "vgexp.experiments",
    "read": "vgexp.results",
    "run": "vgexp.experiments",
    "watch": "vgexp.watching",
}


def __getattr__(name: str) -> Any:
    """Public names load their modules (and torch) when first asked for: `vgexp --help` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'vgexp' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
