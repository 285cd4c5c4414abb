"""Probes: what is recorded of a stack while it trains.

A probe knows the quantities of its tier and the steps of its schedules. On a step that is due it hands an
Observation to the network, which calls it at every layer, forward and backward; afterwards the observation is
a few columns of numbers, still on the device. The device is waited for once an observation, never once a
tensor.

Legend: K means, L layers, M members, B batch, I fan-in, O fan-out.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgexp.config import Run, schedule
from vgexp.networks import Activation, Linear, Plain, Sgd, WeightGradient
from vgexp.numerics import QUANTITIES, Quantity, histogram, moments, norm, numbers, square

SIGNALS = frozenset({"z", "h", "dz"})
"""Tensors that have a row an example; `probe.on=monitor` reads them off the monitoring examples."""
EVERYTHING = SIGNALS | {"dw"}
MEANS = ("z_rms", "h_mean", "h_std", "dz_rms", "dw_rms", "w_rms")
"""What every tier measures, but for `h_mean` squared: the means of which these columns are the roots."""
Label = tuple[str, int]
"""A column and a layer."""


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

    keeps = False

    def __init__(self, step: int, probe: "Probe") -> None:
        self.step, self._probe, self._rows = step, probe, probe.rows
        self.tensors = EVERYTHING
        self.sums: Any = [probe.blank() for _ in MEANS]
        """Over entries() they are MEANS; each is (L M), a list on a host, else a tensor."""
        self._z, self._h_sum, self._h, self._dz, self._dw, self._w = self.sums
        self._examples = 0
        self.columns: dict[str, Any] = defaultdict(probe.blank)
        """What is measured beside, (L M) each; `direction_norm`, of which a column is made."""
        self.histograms: dict[Label, tuple[Tensor, Tensor]] = {}
        self.spectra: dict[int, Tensor] = {}

    def look_at(self, tensors: frozenset[str]) -> None:
        """What the coming pass shows; the training step's own is the one with `dw`."""
        self.tensors = tensors

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        if "z" in self.tensors:
            row = self._rows[layer.index]
            self._z[row] = square(z_MBO)
            if h_MBO is not None:
                self._h_sum[row], self._h[row] = moments(h_MBO)
            else:
                self._examples = z_MBO.shape[1]

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        row = self._rows[layer.index]
        if "dz" in self.tensors:
            self._dz[row] = square(gradient.dz_MBO)
        if "dw" in self.tensors:
            self._w[row] = square(layer.weight_MIO)
            self._dw[row] = gradient.square()
            direction_M = self._probe.optimizer.direction_norm(layer, gradient)
            if direction_M is not None:
                self.columns["direction_norm"][row] = numbers(direction_M)

    def updated(self, layer: Linear) -> None:
        pass

    def rebuilt(self, layer: Linear, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        if "dw" in self.tensors:
            error_M = norm(rebuilt_MBH - true_MBH) / norm(true_MBH)
            self.columns["rebuild_error"][self._rows[layer.index]] = numbers(error_M)

    def entries(self) -> np.ndarray:
        """What the sums are divided by, (K, L, 1)."""
        return self._probe.entries(self._examples)

    def milliseconds(self) -> dict[Label, float]:
        """A member's share of the time, by column and layer."""
        return {}


class Detailed(Observation):
    """An observation with the quantities of the full tier, and with histograms and spectra where they are due."""

    keeps = True

    def __init__(self, step: int, probe: "Probe") -> None:
        super().__init__(step, probe)
        self._histograms, self._spectra = probe.histograms(step), probe.spectra(step)

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        super().forward(layer, z_MBO, h_MBO)
        if "z" in self.tensors and h_MBO is not None:
            z_MBO, h_MBO, phi = z_MBO.detach(), h_MBO.detach(), self._probe.phi
            self._measure("h", layer, h_MBO)
            self._measure("slope", layer, phi.slope(z_MBO) / phi.max_slope)
            if self._histograms:
                self.histograms["h", layer.index] = histogram(h_MBO)
            if self._spectra and layer.index > 1:
                self.spectra[layer.index] = jacobian_spectrum(layer, phi, z_MBO)

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        super().backward(layer, gradient)
        if "dz" in self.tensors and self._histograms:
            self.histograms["dz", layer.index] = histogram(gradient.dz_MBO)
        if "dw" in self.tensors:
            self._measure("w", layer, layer.weight_MIO.detach())
            if self._histograms:
                self.histograms["dw", layer.index] = histogram(gradient.weight_MIO)

    def _measure(self, of: str, layer: Linear, x_MPQ: Tensor) -> None:
        for column, quantity in self._probe.of[of].items():
            self.columns[column][self._rows[layer.index]] = numbers(quantity.measure(x_MPQ))


class Timed(Observation):
    """An observation that also books the time of each layer, its own work left out."""

    keeps = True

    def __init__(self, step: int, probe: "Probe") -> None:
        super().__init__(step, probe)
        self._clock = Clock(probe.device)

    def look_at(self, tensors: frozenset[str]) -> None:
        super().look_at(tensors)
        self._clock.mark(None)

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        self._mark("forward_ms", layer)
        super().forward(layer, z_MBO, h_MBO)
        self._clock.mark(None)

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        if "dw" in self.tensors:
            gradient.form()
        self._mark("backward_ms", layer)
        super().backward(layer, gradient)
        self._clock.mark(None)

    def updated(self, layer: Linear) -> None:
        self._mark("backward_ms", layer)

    def milliseconds(self) -> dict[Label, float]:
        return {label: total / self._probe.members for label, total in self._clock.milliseconds().items()}

    def _mark(self, column: str, layer: Linear) -> None:
        """Only the training step's own pass is timed."""
        self._clock.mark((column, layer.index) if "dw" in self.tensors else None)


OBSERVATIONS: dict[str, type[Observation]] = {"light": Observation, "full": Detailed, "cost": Timed}
"""What each tier makes of a step."""


class Probe:
    """What to record of one stack, and when."""

    def __init__(self, run: Run, network: Plain, optimizer: Sgd) -> None:
        self.network, self.phi, self.optimizer = network, network.phi, optimizer
        self.on, self.batch_size = run.probe.on, run.data.batch_size
        self.members, self.device = len(network.layers[0].weight_MIO), network.layers[0].weight_MIO.device
        self.rows = {
            layer.index: slice(row * self.members, (row + 1) * self.members) for row, layer in enumerate(network.layers)
        }
        """Where a column has a layer's numbers."""
        empty = torch.full((len(network.layers) * self.members,), torch.nan, dtype=torch.float64, device=self.device)
        self.blank: Callable[[], Any] = empty.tolist().copy if self.device.type == "cpu" else empty.clone
        """Makes a column without a number yet, (L M): on a host a list, into which writing is cheapest."""
        self.due = schedule(run.probe.every, run.steps)
        self.histograms, self.spectra = (
            schedule(run.probe.histograms, run.steps),
            schedule(run.probe.spectra, run.steps),
        )
        self.of: dict[str, dict[str, Quantity]] = {"h": {}, "slope": {}, "w": {}}
        for column, quantity in QUANTITIES.items():
            if not (column == "saturation" and self.phi.piecewise_linear):
                self.of[quantity.of][column] = quantity
        self._look = OBSERVATIONS[run.probe.tier]

    def observe(self, step: int) -> Observation:
        """An observation of this step."""
        return self._look(step, self)

    def entries(self, examples: int) -> np.ndarray:
        """What the sums of a pass over so many examples are divided by to be MEANS, (K, L, 1)."""
        layers = self.network.layers
        signals = [examples * layer.bias_M1O[0].numel() for layer in layers]
        weights = [layer.weight_MIO[0].numel() for layer in layers]
        gradients = [count * self.batch_size**2 for count in weights]
        return np.array([*[signals] * 4, gradients, weights], dtype=float)[..., None]


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
