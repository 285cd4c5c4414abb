"""Where a module went that lay directly under `vgexp` before it was sorted into packages."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "activations": "networks.activations",
    "analysis": "results.profiles",
    "blas": "numerics.norms",
    "callbacks": "watching.callbacks",
    "checkpoint": "networks.checkpoint",
    "checkup": "watching.checkup",
    "datasets": "data.datasets",
    "diagnosis": "watching.verdicts.diagnosis",
    "differentiation": "papers.baydin2018.differentiation",
    "experiment": "experiments",
    "forecast": "costs.forecast",
    "graph": "watching.hooks.graph",
    "histories": "papers.glorot2010.histories",
    "initializers": "networks.initializers",
    "layers": "networks.parts",
    "listener": "watching.hooks.listener",
    "live": "costs.live",
    "losses": "networks.losses",
    "measures": "claims.measures",
    "models": "networks.families",
    "monitor": "watching.monitor",
    "norms": "numerics.norms",
    "optimizers": "networks.optimizers",
    "originals": "data.originals",
    "prediction": "experiments.prediction",
    "probes": "training.probes",
    "products": "numerics.products",
    "progress": "training.progress",
    "provenance": "training.provenance",
    "quantities": "numerics.quantities",
    "records": "training.records",
    "remedies": "watching.verdicts.remedies",
    "report": "pages.page",
    "reversible": "networks.families.reversible",
    "schedules": "config.schedules",
    "seeds": "numerics.seeds",
    "shapeset": "data.shapeset",
    "sheets": "watching.hooks.observations",
    "sightings": "watching.hooks.layers",
    "store": "results.reading",
    "style": "figures.style",
    "surfaces": "papers.glorot2010.surfaces",
    "sweep": "experiments.sweep",
    "tensorboard": "results.tensorboard",
    "train": "training",
}
"""Old name -> new name, both below `vgexp`."""


class Finder:
    """Asked for what nobody else finds: an old name raises ModuleNotFoundError with the new one."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package == "vgexp" and module in MOVED:
            raise ModuleNotFoundError(f"{name} is now vgexp.{MOVED[module]}", name=name)
        return None


def install() -> None:
    """Puts the finder behind all others, once."""
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)  # pyright: ignore[reportArgumentType] a class with the method will do
