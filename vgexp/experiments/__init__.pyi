from .comparison import compare
from .imports import IMPORTS, load_imports
from .launch import run, start
from .prediction import predict

__all__ = ["IMPORTS", "compare", "load_imports", "predict", "run", "start"]
