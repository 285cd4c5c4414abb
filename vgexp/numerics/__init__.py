"""Arithmetic that knows no runs: norms, sums, products, quantities, Gaussian integrals, random numbers by name."""

from vgexp.numerics import torch_private
from vgexp.numerics.averages import Averages, averages, tabulated
from vgexp.numerics.criticality import (
    critical_sigma_w,
    critical_sigma_ws,
    doubly_critical,
    mean_square,
    mean_square_slope,
)
from vgexp.numerics.gaussian import gaussian_gap, gaussian_mean, gaussian_product
from vgexp.numerics.norms import WITHOUT_FLOAT64, Numbers, norm, numbers, safe_norm, square, total_norm
from vgexp.numerics.processor import model_name
from vgexp.numerics.products import affine, times_transposed
from vgexp.numerics.quantities import (
    QUANTITIES,
    SATURATED,
    TENSORS,
    Quantity,
    fraction,
    histogram,
    moments,
    singular_values,
)
from vgexp.numerics.roots import root
from vgexp.numerics.seeds import generator

__all__ = [
    "QUANTITIES",
    "SATURATED",
    "TENSORS",
    "WITHOUT_FLOAT64",
    "Averages",
    "Numbers",
    "Quantity",
    "affine",
    "averages",
    "critical_sigma_w",
    "critical_sigma_ws",
    "doubly_critical",
    "fraction",
    "gaussian_gap",
    "gaussian_mean",
    "gaussian_product",
    "generator",
    "histogram",
    "mean_square",
    "mean_square_slope",
    "model_name",
    "moments",
    "norm",
    "numbers",
    "root",
    "safe_norm",
    "singular_values",
    "square",
    "tabulated",
    "times_transposed",
    "torch_private",
    "total_norm",
]
