"""Probes: what is recorded of a stack while it trains, and at which steps.

Legend: R rows (parts), M members.
"""

from collections.abc import Callable
from typing import Any

import torch

from vgexp.config import Run, schedule
from vgexp.networks import Network, Sgd
from vgexp.numerics import QUANTITIES, TENSORS, Quantity
from vgexp.training.observations import OBSERVATIONS, Observation


class Probe:
    """The quantities of a run's tier and the steps of its schedules."""

    def __init__(self, run: Run, network: Network, optimizer: Sgd) -> None:
        self.network, self.optimizer, self.on = network, optimizer, run.probe.on
        weight = next(iter(network.parts.values())).tensors["weight"]
        self.members, self.device = len(weight), weight.device
        self.rows = {key: slice(row * self.members, (row + 1) * self.members) for row, key in enumerate(network.parts)}
        """Where a column has a part's numbers."""
        self.zeros, self.blank = self._maker(0.0), self._maker(torch.nan)
        """Make columns (R M) of zeros, and of numbers not measured."""
        self.due = schedule(run.probe.every, run.steps)
        self.histograms = schedule(run.probe.histograms, run.steps)
        self.spectra = schedule(run.probe.spectra, run.steps)
        self.of: dict[str, dict[str, Quantity]] = {tensor: {} for tensor in TENSORS}
        for column, quantity in QUANTITIES.items():
            if not (column == "saturation" and network.activation.piecewise_linear):
                self.of[quantity.of][column] = quantity
        self._look = OBSERVATIONS[run.probe.tier]

    def observe(self, step: int) -> Observation:
        """An observation of this step."""
        return self._look(step, self)

    def _maker(self, number: float) -> Callable[[], Any]:
        """A function that makes a column: on a host a list, into which writing is cheapest."""
        column = torch.full((len(self.rows) * self.members,), number, dtype=torch.float64, device=self.device)
        return column.tolist().copy if self.device.type == "cpu" else column.clone
