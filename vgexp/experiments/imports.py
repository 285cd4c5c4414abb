"""Imports: modules from outside that add activations, data sets, quantities, ... to the dicts of vgexp."""

import importlib
import os
import shlex
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from vgexp.config import outside

IMPORTS = "VGEXP_IMPORT"
"""The environment variable with the modules of `vgexp --import`, read by every process that composes or trains."""


def load_imports() -> list[ModuleType]:
    """Imports the entry points of the group `vgexp`, and the modules of `vgexp --import`, which may lie in the working
    folder. Returns the modules.

    Raises ConfigError for a module that cannot be imported.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    loaded = []
    for entry in entry_points(group="vgexp"):
        with outside("entry point", "a module that can be imported", entry.value):
            loaded.append(entry.load())
    for module in filter(None, os.environ.get(IMPORTS, "").split(",")):
        with outside("--import", "a module that can be imported", module):
            loaded.append(importlib.import_module(module))
    return [module for module in loaded if isinstance(module, ModuleType)]


def command(*words: str) -> str:
    """A command line of vgexp to type, with the modules of `--import` that this process was given."""
    modules = filter(None, os.environ.get(IMPORTS, "").split(","))
    return shlex.join(["vgexp", *(f"--import={module}" for module in modules), *words])
