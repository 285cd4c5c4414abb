from .experiments import predict, run
from .figures import plot
from .papers import report
from .results import read
from .watching import diagnose, watch

__all__ = ["diagnose", "plot", "predict", "read", "report", "run", "watch"]

__version__: str
