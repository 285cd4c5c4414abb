"""Tables on disk and in memory, and the estimates with intervals that are read from them.

A name loads its module when it is first asked for (`__init__.pyi` says which): the command line needs no pandas. What
writes results needs torch: `vgexp.results.writing` and `vgexp.results.loggers` are imported by name, so that
reading loads none.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
