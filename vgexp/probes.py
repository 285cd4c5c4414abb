"""Probes: what is recorded of a stack while it trains.

A probe knows the quantities of its tier and the steps of its schedules. On a step that is due it hands an
Observation to the network, which calls it at every layer, forward and backward; afterwards the observation is
a small block of numbers, still on the device. The device is waited for once an observation, never once a
tensor.

Legend: M members, B batch, I fan-in, O fan-out.
"""

import time
from collections.abc import Iterable

import torch
from torch import Tensor

from vgexp.activations import Activation
from vgexp.config import Run
from vgexp.layers import Linear, WeightGradient
from vgexp.models import Plain
from vgexp.optimizers import Sgd
from vgexp.quantities import QUANTITIES, SAFE, histogram, rms
from vgexp.schedules import schedule

SIGNALS = frozenset({"z", "h", "slope", "dz"})
"""Tensors that have a row an example; `probe.on=monitor` reads them off the monitoring examples."""
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
    """One look at one step: an `Observer` that reduces what it sees to one number a quantity, layer and
    member."""

    def __init__(self, step: int, probe: "Probe", tensors: Iterable[str], device: torch.device) -> None:
        self.step, self._probe = step, probe
        self.tensors = frozenset(tensors)
        self.values: dict[Label, Tensor] = {}
        self.histograms: dict[Label, tuple[Tensor, Tensor]] = {}
        self.spectra: dict[int, Tensor] = {}
        self._histograms, self._spectra = probe.histograms(step), probe.spectra(step)
        self.clock = Clock(device) if probe.tier == "cost" else None

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        self._mark("forward_ms", layer)
        z_MBO = z_MBO.detach()
        self._measure("z", layer, z_MBO)
        if h_MBO is not None:
            h_MBO = h_MBO.detach()
            self._measure("h", layer, h_MBO)
            self._distribution("h", layer, h_MBO)
            phi = self._probe.phi
            if self._probe.of["slope"]:
                self._measure("slope", layer, phi.slope(z_MBO) / phi.max_slope)
            if self._spectra and layer.index > 1 and "h" in self.tensors:
                self.spectra[layer.index] = jacobian_spectrum(layer, phi, z_MBO)
        self._mark(None, layer)

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        self._mark("backward_ms", layer)
        self._measure("dz", layer, gradient.dz_MBO)
        self._distribution("dz", layer, gradient.dz_MBO)
        self._measure("dw", layer, gradient)
        if "dw" in self.tensors:
            self.values["update_rms", layer.index] = self._probe.change(layer, gradient)
            if self._histograms:
                self._distribution("dw", layer, gradient.weight_MIO)
        self._mark(None, layer)

    def updated(self, layer: Linear) -> None:
        self._mark("backward_ms", layer)

    def weights(self, layers: list[Linear]) -> None:
        """Measures the weights, before the pass; those that a float32 norm cannot tell, again in float64."""
        for layer in layers:
            self._measure("w", layer, layer.weight_MIO.detach())
        low, high = SAFE
        rms_LM = torch.stack([self.values["w_rms", layer.index] for layer in layers])
        trusted = ((rms_LM > low) & (rms_LM < high)).all(1).tolist()
        for layer, trust in zip(layers, trusted, strict=True):
            if not trust:
                self.values["w_rms", layer.index] = rms(layer.weight_MIO.detach())

    def _measure(self, of: str, layer: Linear, tensor: Tensor | WeightGradient) -> None:
        if of in self.tensors:
            for name in self._probe.of[of]:
                self.values[name, layer.index] = QUANTITIES[name].measure(tensor)

    def _distribution(self, of: str, layer: Linear, tensor: Tensor) -> None:
        if self._histograms and of in self.tensors:
            self.histograms[of, layer.index] = histogram(tensor)

    def _mark(self, column: str | None, layer: Linear) -> None:
        if self.clock is not None:
            self.clock.mark(None if column is None else (column, layer.index))


class Probe:
    """What to record of one stack, and when."""

    def __init__(self, run: Run, network: Plain, optimizer: Sgd) -> None:
        self.network, self.phi, self.change = network, network.phi, optimizer.change
        self.tier, self.on = run.probe.tier, run.probe.on
        self.due = schedule(run.probe.every, run.steps)
        lists = self.tier == "full"
        self.histograms = schedule(run.probe.histograms if lists else "never", run.steps)
        self.spectra = schedule(run.probe.spectra if lists else "never", run.steps)
        self.of: dict[str, list[str]] = {of: [] for of in (*SIGNALS, "w", "dw")}
        for name, quantity in QUANTITIES.items():
            defined = not (name == "saturation" and self.phi.piecewise_linear)
            if self.tier in quantity.tiers and defined:
                self.of[quantity.of].append(name)

    def observe(self, step: int) -> Observation:
        """An observation of this step, the weights already measured."""
        weight_MIO = self.network.layers[0].weight_MIO
        observation = Observation(step, self, {*SIGNALS, "w", "dw"}, weight_MIO.device)
        observation.weights(self.network.layers)
        return observation


def jacobian_spectrum(layer: Linear, phi: Activation, z_MBO: Tensor) -> Tensor:
    """Singular values (M, min(I, O)) of dh^l / dh^{l-1} = W diag(phi'(z^l)) at the first example, largest
    first.

    Glorot & Bengio (2010), section 4.2.1, eq. 17.
    """
    return torch.linalg.svdvals(layer.weight_MIO.detach() * phi.slope(z_MBO[:, :1]))


def _elapsed(start: float | torch.cuda.Event, end: float | torch.cuda.Event) -> float:
    if isinstance(start, torch.cuda.Event) and isinstance(end, torch.cuda.Event):
        end.synchronize()
        return start.elapsed_time(end)
    assert isinstance(start, float) and isinstance(end, float)
    return 1000 * (end - start)
