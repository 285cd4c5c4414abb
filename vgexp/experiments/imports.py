"""Imports: modules from outside that add activations, data sets, quantities, ... to the dicts of vgexp."""

import importlib
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

from vgexp.config import ConfigError

IMPORTS = "VGEXP_IMPORT"
"""The environment variable with the modules of `vgexp --import`, read by every process that composes or trains."""


def load_imports() -> None:
    """Imports the entry points of the group `vgexp`, and the modules of `vgexp --import`, which may lie in the working
    folder.

    Raises ConfigError for a module that cannot be imported.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    for entry in entry_points(group="vgexp"):
        entry.load()
    for module in filter(None, os.environ.get(IMPORTS, "").split(",")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ConfigError("--import", module, f"a module that can be imported ({error})") from None
