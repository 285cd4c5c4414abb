"""The budget of a training step: its FLOPs, its memory and its time, as four papers count them.

The memory of one layer's activations is the unit of memory: 64 units and batches of 64 in float32.
"""

import xarray as xr

from vgexp.claims import Grid, since
from vgexp.results import Results

UNIT = 64 * 64 * 4
"""Bytes of one layer's activations."""


def flops(grid: Grid, results: Results) -> xr.DataArray:
    """FLOPs of forward and backward pass."""
    return grid.runs(results, "forward_flops") + grid.runs(results, "backward_flops")


def units(grid: Grid, results: Results) -> xr.DataArray:
    """The most live bytes at one moment, in units."""
    return grid.runs(results, "live_bytes") / UNIT


def gigabytes(grid: Grid, results: Results) -> xr.DataArray:
    """The most memory that training took."""
    return grid.runs(results, "peak_bytes") / 1e9


def milliseconds(grid: Grid, results: Results, column: str) -> xr.DataArray:
    """Time of one pass, forward_ms or backward_ms, over all layers: median over the steps after the first."""
    return since(grid.layers(results, column, readout=True), 1).sum("layer").median("step")


def step_milliseconds(grid: Grid, results: Results) -> xr.DataArray:
    """Time of forward and backward pass."""
    return milliseconds(grid, results, "forward_ms") + milliseconds(grid, results, "backward_ms")
