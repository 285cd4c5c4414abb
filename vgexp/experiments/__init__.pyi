from .imports import IMPORTS, load_imports
from .launch import run, start
from .overrides import check_single, fields_of
from .prediction import predict

__all__ = ["IMPORTS", "check_single", "fields_of", "load_imports", "predict", "run", "start"]
