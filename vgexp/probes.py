"""Probes: what is recorded of a stack while it trains.

A probe knows the quantities of its tier and the steps of its schedules. On a step that is due it hands an
Observation to the network, which calls it at every layer, forward and backward; afterwards the observation is
a few columns of numbers, still on the device. The device is waited for once an observation, never once a
tensor.

Legend: L layers, M members, B batch, I fan-in, O fan-out.
"""

import time
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgexp.activations import Activation
from vgexp.config import Run
from vgexp.layers import Linear, WeightGradient
from vgexp.models import Plain
from vgexp.norms import Numbers, norm, numbers, square
from vgexp.optimizers import Sgd
from vgexp.quantities import QUANTITIES, Quantity, histogram, moments
from vgexp.schedules import schedule

SIGNALS = frozenset({"z", "h", "dz"})
"""Tensors that have a row an example; `probe.on=monitor` reads them off the monitoring examples."""
EVERYTHING = SIGNALS | {"dw"}
SUMS = ("z", "h_sum", "h", "dz", "dw", "w")
"""What every tier measures: sums of squares; of h, of its squared deviations from the mean, and of itself."""
Label = tuple[str, int]
"""A column and a layer."""
Column = np.ndarray | Tensor
"""A number a layer and member, (L, M): on a host numpy's, on a device a tensor there."""


class Clock:
    """Time by label: each mark books what has passed since the last one, on the host or between CUDA
    events."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[tuple[Label | None, float | torch.cuda.Event]] = []
        self.mark(None)

    def mark(self, label: Label | None) -> None:
        """Books the time since the last mark; None books it to nobody (the observer's own work)."""
        if self._cuda:
            now = torch.cuda.Event(enable_timing=True)
            now.record()
        else:
            now = time.perf_counter()
        self._marks.append((label, now))

    def milliseconds(self) -> dict[Label, float]:
        totals: dict[Label, float] = {}
        for (_, start), (label, end) in zip(self._marks[:-1], self._marks[1:], strict=True):
            if label is not None:
                totals[label] = totals.get(label, 0.0) + _elapsed(start, end)
        return totals


class Observation:
    """One look at one step: an `Observer` that reduces what it sees to one number a quantity, layer and member."""

    def __init__(self, step: int, probe: "Probe") -> None:
        self.step, self._probe = step, probe
        self.tensors = EVERYTHING
        self.histograms: dict[Label, tuple[Tensor, Tensor]] = {}
        self.spectra: dict[int, Tensor] = {}
        self._measured: dict[str, Any] = defaultdict(probe.blank)
        self._examples = 0
        self._histograms, self._spectra = probe.histograms(step), probe.spectra(step)
        self.clock = Clock(probe.device) if probe.tier == "cost" else None
        self.keeps = probe.tier in ("full", "cost")
        self._weights()

    def look_at(self, tensors: frozenset[str]) -> None:
        """What the coming pass shows; the training step's own is the one with `dw`, and the one that is timed."""
        self.tensors = tensors
        if self.clock is not None:
            self.clock.mark(None)

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        self._mark("forward_ms", layer)
        if "z" in self.tensors:
            measured, row = self._measured, layer.index - 1
            self._examples = z_MBO.shape[1]
            measured["z"][row] = square(z_MBO)
            if h_MBO is not None:
                measured["h_sum"][row], measured["h"][row] = moments(h_MBO)
                if self._probe.full:
                    self._measure_signals(layer, z_MBO.detach(), h_MBO.detach())
        self._mark(None, layer)

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        if self.clock is not None and "dw" in self.tensors:
            gradient.form()
        self._mark("backward_ms", layer)
        measured, row = self._measured, layer.index - 1
        if "dz" in self.tensors:
            measured["dz"][row] = square(gradient.dz_MBO)
            if self._histograms:
                self.histograms["dz", layer.index] = histogram(gradient.dz_MBO)
        if "dw" in self.tensors:
            measured["dw"][row] = gradient.square()
            direction_M = self._probe.optimizer.direction_norm(layer, gradient)
            if direction_M is not None:
                measured["direction_norm"][row] = numbers(direction_M)
            if self._histograms:
                self.histograms["dw", layer.index] = histogram(gradient.weight_MIO)
        self._mark(None, layer)

    def updated(self, layer: Linear) -> None:
        self._mark("backward_ms", layer)

    def rebuilt(self, layer: Linear, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        if "dw" in self.tensors:
            error_M = norm(rebuilt_MBH - true_MBH) / norm(true_MBH)
            self._measured["rebuild_error"][layer.index - 1] = numbers(error_M)

    def columns(self) -> dict[str, Column]:
        """What was measured, by column; `dw_norm`, `w_norm` and `direction_norm` are what makes some."""
        probe, entries_L1 = self._probe, self._examples * self._probe.units_L1
        measured = {name: probe.column(column) for name, column in self._measured.items()}
        columns = {name: column for name, column in measured.items() if name not in SUMS}
        columns["z_rms"] = (measured["z"] / entries_L1) ** 0.5
        columns["h_mean"] = measured["h_sum"] / entries_L1
        columns["h_std"] = (measured["h"] / entries_L1) ** 0.5
        columns["dz_rms"] = (measured["dz"] / entries_L1) ** 0.5
        columns["dw_norm"] = measured["dw"] ** 0.5 / probe.batch_size
        columns["w_norm"] = measured["w"] ** 0.5
        if self.clock is not None:
            for (name, layer), milliseconds in self.clock.milliseconds().items():
                columns.setdefault(name, probe.column(probe.blank()))[layer - 1] = milliseconds / probe.members
        return columns

    def grad_norm(self) -> Tensor:
        """Norm of the batch's gradient over the weights of all layers, (M,)."""
        squares_LM = self._probe.column(self._measured["dw"])
        return torch.as_tensor(squares_LM.sum(0) ** 0.5 / self._probe.batch_size)

    def _weights(self) -> None:
        """Measures the weights, before the pass updates them."""
        for layer in self._probe.network.layers:
            self._measured["w"][layer.index - 1] = square(layer.weight_MIO)
            self._measure("w", layer, layer.weight_MIO.detach())

    def _measure_signals(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor) -> None:
        """What the full tier measures of the signals on their way up."""
        phi = self._probe.phi
        self._measure("h", layer, h_MBO)
        self._measure("slope", layer, phi.slope(z_MBO) / phi.max_slope)
        if self._histograms:
            self.histograms["h", layer.index] = histogram(h_MBO)
        if self._spectra and layer.index > 1:
            self.spectra[layer.index] = jacobian_spectrum(layer, phi, z_MBO)

    def _measure(self, of: str, layer: Linear, x_MPQ: Tensor) -> None:
        for quantity in self._probe.of[of]:
            self._measured[quantity.column][layer.index - 1] = numbers(quantity.measure(x_MPQ))

    def _mark(self, column: str | None, layer: Linear) -> None:
        if self.clock is not None:
            self.clock.mark((column, layer.index) if column and "dw" in self.tensors else None)


class Probe:
    """What to record of one stack, and when."""

    def __init__(self, run: Run, network: Plain, optimizer: Sgd) -> None:
        self.network, self.phi, self.optimizer = network, network.phi, optimizer
        self.tier, self.on, self.batch_size = run.probe.tier, run.probe.on, run.data.batch_size
        self.members, self.device = len(network.layers[0].weight_MIO), network.layers[0].weight_MIO.device
        self.due = schedule(run.probe.every, run.steps)
        self.full = self.tier == "full"
        self.histograms = schedule(run.probe.histograms if self.full else "never", run.steps)
        self.spectra = schedule(run.probe.spectra if self.full else "never", run.steps)
        self.of: dict[str, list[Quantity]] = {"h": [], "slope": [], "w": []}
        for quantity in QUANTITIES if self.full else ():
            if not (quantity.column == "saturation" and self.phi.piecewise_linear):
                self.of[quantity.of].append(quantity)
        units = [[layer.bias_M1O.shape[2]] for layer in network.layers]
        self.units_L1 = np.array(units) if self.device.type == "cpu" else torch.tensor(units, device=self.device)

    def observe(self, step: int) -> Observation:
        """An observation of this step, the weights already measured."""
        return Observation(step, self)

    def blank(self) -> list[Numbers] | Tensor:
        """A column in which nothing is measured yet: on a host lists, into which writing is cheapest."""
        layers, members = len(self.network.layers), self.members
        if self.device.type != "cpu":
            return torch.full((layers, members), torch.nan, dtype=torch.float64, device=self.device)
        return [[np.nan] * members for _ in range(layers)]

    def column(self, measured: list[Numbers] | Tensor) -> Column:
        """A column that is written, ready to be reckoned with."""
        return measured if isinstance(measured, Tensor) else np.array(measured)


def jacobian_spectrum(layer: Linear, phi: Activation, z_MBO: Tensor) -> Tensor:
    """Singular values (M, min(I, O)) of dh^l / dh^{l-1} = W diag(phi'(z^l)) at the first example, descending; in a
    reversible layer, those of its branch.

    Glorot & Bengio (2010), section 4.2.1, eq. 17.
    """
    return torch.linalg.svdvals(layer.weight_MIO.detach() * phi.slope(z_MBO[:, :1]))


def _elapsed(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        end.synchronize()
        return start.elapsed_time(end)
    assert isinstance(start, float) and isinstance(end, float)
    return 1000 * (end - start)
