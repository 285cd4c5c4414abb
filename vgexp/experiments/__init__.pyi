from .comparison import compare
from .imports import IMPORTS, command, load_imports
from .launch import run, start
from .prediction import predict

__all__ = ["IMPORTS", "command", "compare", "load_imports", "predict", "run", "start"]
