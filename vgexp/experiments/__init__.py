"""From overrides to runs: sweeps, plans, launches, and predictions without a run.

A name loads its module when it is first asked for (`__init__.pyi` says which): a bad override is found without torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
