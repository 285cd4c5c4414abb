"""Statements of papers as numbers to be measured, each with a verdict.

A name loads its module when it is first asked for (`__init__.pyi` says which): figures need no xarray.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
