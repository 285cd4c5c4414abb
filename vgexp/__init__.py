"""vgexp: an instrument for the study of vanishing and exploding gradients.

>>> import vgexp
>>> results = vgexp.run("data=digits", "model.depth=5,10", "model.width=50", "steps=0")  # doctest: +SKIP
>>> results.layers  # doctest: +SKIP
>>> with vgexp.watch(model) as monitor:  # doctest: +SKIP
...     loss.backward(); monitor.step()
>>> print(monitor.diagnosis())  # doctest: +SKIP
>>> vgexp.report("results/depths")  # doctest: +SKIP

A public name loads its package, and torch, when it is first asked for (`__init__.pyi` says which).
"""

import lazy_loader

from vgexp import moved

__version__ = "0.1.0"

__getattr__, _names, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __dir__() -> list[str]:
    return ["__version__", *_names()]


moved.install()
