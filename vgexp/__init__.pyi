from .experiments import predict, run
from .results import read
from .watching import diagnose, watch

__all__ = ["diagnose", "predict", "read", "run", "watch"]

__version__: str
