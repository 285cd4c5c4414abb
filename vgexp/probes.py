"""Probes: what is recorded of a stack while it trains.

A probe knows the quantities of its tier and the steps of its schedules. On a step that is due it hands an
Observation to the network, which calls it at every layer, forward and backward; afterwards the observation is
a small block of numbers, still on the device. The device is waited for once an observation, never once a
tensor.

Legend: M members, B batch, I fan-in, O fan-out.
"""

import time
from typing import Any

import torch
from torch import Tensor

from vgexp.activations import Activation
from vgexp.config import Run
from vgexp.layers import Linear, WeightGradient
from vgexp.models import Plain
from vgexp.norms import Numbers, norm
from vgexp.optimizers import Sgd
from vgexp.quantities import QUANTITIES, Quantity, histogram
from vgexp.schedules import schedule

SIGNALS = frozenset({"z", "h", "slope", "dz"})
"""Tensors that have a row an example; `probe.on=monitor` reads them off the monitoring examples."""
EVERYTHING = SIGNALS | {"dw"}
HISTOGRAMS = ("h", "dz", "dw")
SMALL = 2**17
"""Entries of a tensor up to which it is kept a while, and reduced with those of other layers."""
KEPT = 2**22
"""Entries that are kept at most, whatever the depth: what is kept is memory that a step otherwise gives back."""
Label = tuple[str, int]
"""A column and a layer."""
Block = tuple[list[Label], Numbers]
"""K labels and their values (K, M)."""


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

    def __init__(self, step: int, probe: "Probe", device: torch.device) -> None:
        self.step, self._probe = step, probe
        self.tensors = EVERYTHING
        self.histograms: dict[Label, tuple[Tensor, Tensor]] = {}
        self.spectra: dict[int, Tensor] = {}
        self._blocks: list[Block] = []
        self._kept: dict[str, tuple[list[Linear], list[Tensor | WeightGradient]]] = {}
        self._entries = 0
        self._histograms, self._spectra = probe.histograms(step), probe.spectra(step)
        self.clock = Clock(device) if probe.tier == "cost" else None
        self.keeps = probe.tier in ("full", "cost")

    def look_at(self, tensors: frozenset[str]) -> None:
        """What the coming pass shows; the training step's own is the one with `dw`, and the one that is timed."""
        self.tensors = tensors
        if self.clock is not None:
            self.clock.mark(None)

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        self._mark("forward_ms", layer)
        z_MBO = z_MBO.detach()
        self._signal("z", layer, z_MBO)
        if h_MBO is not None:
            self._signal("h", layer, h_MBO.detach())
            phi = self._probe.phi
            if self._probe.of["slope"]:
                self._signal("slope", layer, phi.slope(z_MBO) / phi.max_slope)
            if self._spectra and layer.index > 1 and "h" in self.tensors:
                self.spectra[layer.index] = jacobian_spectrum(layer, phi, z_MBO)
        self._mark(None, layer)

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        if self.clock is not None and "dw" in self.tensors:
            gradient.form()
        self._mark("backward_ms", layer)
        self._signal("dz", layer, gradient.dz_MBO)
        if "dw" in self.tensors:
            if self.keeps_gradient(layer):
                self._keep("dw", layer, gradient)
            else:
                self._reduce("dw", [layer], [gradient])
            direction_M = self._probe.optimizer.direction_norm(layer, gradient)
            if direction_M is not None:
                self._blocks.append(([("direction_norm", layer.index)], direction_M[None]))
            if self._histograms:
                self._distribution("dw", layer, gradient.weight_MIO)
        self._mark(None, layer)

    def updated(self, layer: Linear) -> None:
        self._mark("backward_ms", layer)

    def rebuilt(self, layer: Linear, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        if "dw" in self.tensors:
            error_M = norm(rebuilt_MBH - true_MBH) / norm(true_MBH)
            self._blocks.append(([("rebuild_error", layer.index)], error_M[None]))

    def weights(self, layers: list[Linear]) -> None:
        """Measures the weights, before the pass updates them."""
        self._reduce("w", layers, [layer.weight_MIO.detach() for layer in layers])

    def keeps_gradient(self, layer: Linear) -> bool:
        return layer.weight_MIO.numel() <= SMALL and self._probe.shallow

    @torch.no_grad()
    def blocks(self) -> list[Block]:
        """All that was measured."""
        for of, (layers, tensors) in self._kept.items():
            self._reduce(of, layers, tensors)
        self._kept, self._entries = {}, 0
        return self._blocks

    def grad_norm(self) -> Tensor:
        """Norm of the batch's gradient over the weights of all layers, (M,)."""
        norms = [values_KM for labels, values_KM in self.blocks() if labels[0][0] == "dw_norm"]
        return torch.linalg.vector_norm(torch.cat([torch.as_tensor(norms_KM) for norms_KM in norms]), dim=0)

    def _signal(self, of: str, layer: Linear, x_MBN: Tensor) -> None:
        if of not in self.tensors:
            return
        if x_MBN.numel() <= SMALL:
            self._keep(of, layer, x_MBN)
            self._entries += x_MBN.numel()
            if self._entries > KEPT:
                self.blocks()
        else:
            self._reduce(of, [layer], [x_MBN])
        self._distribution(of, layer, x_MBN)

    def _keep(self, of: str, layer: Linear, tensor: Tensor | WeightGradient) -> None:
        layers, tensors = self._kept.setdefault(of, ([], []))
        layers.append(layer)
        tensors.append(tensor)

    def _reduce(self, of: str, layers: list[Linear], tensors: list[Any]) -> None:
        for quantity in self._probe.of[of]:
            for column, values_KM in zip(quantity.columns, quantity.measure(tensors), strict=True):
                self._blocks.append(([(column, layer.index) for layer in layers], values_KM))

    def _distribution(self, of: str, layer: Linear, tensor: Tensor) -> None:
        if self._histograms and of in HISTOGRAMS:
            self.histograms[of, layer.index] = histogram(tensor)

    def _mark(self, column: str | None, layer: Linear) -> None:
        if self.clock is not None:
            self.clock.mark((column, layer.index) if column and "dw" in self.tensors else None)


class Probe:
    """What to record of one stack, and when."""

    def __init__(self, run: Run, network: Plain, optimizer: Sgd) -> None:
        self.network, self.phi, self.optimizer = network, network.phi, optimizer
        self.tier, self.on = run.probe.tier, run.probe.on
        self.shallow = sum(layer.weight_MIO.numel() for layer in network.layers) <= KEPT
        self.due = schedule(run.probe.every, run.steps)
        lists = self.tier == "full"
        self.histograms = schedule(run.probe.histograms if lists else "never", run.steps)
        self.spectra = schedule(run.probe.spectra if lists else "never", run.steps)
        self.of: dict[str, list[Quantity]] = {of: [] for of in (*EVERYTHING, "w")}
        for quantity in QUANTITIES:
            defined = not ("saturation" in quantity.columns and self.phi.piecewise_linear)
            if self.tier in quantity.tiers and defined:
                self.of[quantity.of].append(quantity)

    def observe(self, step: int) -> Observation:
        """An observation of this step, the weights already measured."""
        observation = Observation(step, self, self.network.layers[0].weight_MIO.device)
        observation.weights(self.network.layers)
        return observation


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
