"""Imports: modules from outside that add activations, data sets, quantities, ... to the dicts of vgexp."""

import importlib
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from vgexp.config import ConfigError, first_line

IMPORTS = "VGEXP_IMPORT"
"""The environment variable with the modules of `vgexp --import`, read by every process that composes or trains."""


def load_imports() -> list[ModuleType]:
    """Imports the entry points of the group `vgexp`, and the modules of `vgexp --import`, which may lie in the working
    folder. Returns the modules.

    Raises ConfigError for a module that cannot be imported.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    loaded = [entry.load() for entry in entry_points(group="vgexp")]
    for module in filter(None, os.environ.get(IMPORTS, "").split(",")):
        try:
            loaded.append(importlib.import_module(module))
        except Exception as error:  # whatever a module raises while it is imported
            why = f"{type(error).__name__}: {first_line(error)}"
            raise ConfigError("--import", module, f"a module that can be imported ({why})") from error
    return [module for module in loaded if isinstance(module, ModuleType)]
