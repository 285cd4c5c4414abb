"""Measures: what claims make of a quantity over the layers, or over training.

x is a labelled array over `seed` and `layer` or `step`, as a Grid reads it. NaN, such as the 0 / 0 of two layers
without a gradient, stays NaN here: the reductions of xarray itself pass over it.
"""

import numpy as np
import xarray as xr
from xarray.ufuncs import exp, log, maximum, minimum

from vgexp.claims.statements import Missing


def largest(x: xr.DataArray, dim: str = "layer") -> xr.DataArray:
    """The largest value along a dimension."""
    return x.max(dim, skipna=False)


def smallest(x: xr.DataArray, dim: str = "layer") -> xr.DataArray:
    """The smallest value along a dimension."""
    return x.min(dim, skipna=False)


def rms(x: xr.DataArray, dim: str = "layer") -> xr.DataArray:
    """Root mean square along a dimension."""
    return (x**2).mean(dim, skipna=False) ** 0.5


def spread(x: xr.DataArray) -> xr.DataArray:
    """The largest over the smallest layer."""
    return largest(x) / smallest(x)


def width(x: xr.DataArray) -> xr.DataArray:
    """The largest less the smallest layer."""
    return largest(x) - smallest(x)


def over(x: xr.DataArray, upper: int, lower: int) -> xr.DataArray:
    """One layer over another."""
    return x.sel(layer=upper) / x.sel(layer=lower)


def rise(x: xr.DataArray) -> xr.DataArray:
    """Each layer but the first over the layer below it: above 1 where x rises."""
    return (x / x.shift(layer=1)).isel(layer=slice(1, None))


def mean_rise(x: xr.DataArray) -> xr.DataArray:
    """Geometric mean of the ratio of neighbouring layers."""
    return exp(log(rise(x)).mean("layer", skipna=False))


def log_slope(x: xr.DataArray) -> xr.DataArray:
    """Least-squares slope of ln x over the layers."""
    return log(x).polyfit("layer", 1, skipna=False).polyfit_coefficients.sel(degree=1)


def since(x: xr.DataArray, step: int) -> xr.DataArray:
    """The observations from a step on. Raises Missing when there are none."""
    later = x.sel(step=slice(step, None))
    if not later.sizes["step"]:
        raise Missing(f"no observation from step {step} on")
    return later


def first_step(reached: xr.DataArray) -> xr.DataArray:
    """The first step at which a condition is met, inf where it never is."""
    return reached["step"].where(reached, np.inf).min("step")


def mass(histogram: xr.Dataset, low: float, high: float) -> xr.DataArray:
    """Fraction of the values with low < |value| <= high, each bin shared out by its part inside."""

    def inside(a: float, b: float) -> xr.DataArray:
        return (minimum(histogram.right, b) - maximum(histogram.left, a)).clip(0)

    return (histogram.density * (inside(low, high) + inside(-high, -low))).sum("bin", skipna=False)
