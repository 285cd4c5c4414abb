"""Observations: what is seen of one step, as one number a quantity, part and member.

An observation is handed to the network, which calls it at every layer, forward and backward. Everything is reduced at
once: nothing of a recorded pass outlives its layer. On a device the numbers stay there until tables are asked for.

Legend: R rows (parts), M members, B batch, I fan-in, O fan-out, N units, H half the units.
"""

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from torch import Tensor

from vgexp.networks import Gradient, Key, Matrix, Part, State
from vgexp.numerics import histogram, moments, norm, numbers, singular_values, square
from vgexp.training.clock import Clock, Label

if TYPE_CHECKING:
    from vgexp.training.probes import Probe

SIGNALS = frozenset({"z", "h", "dz", "dx"})
"""Tensors that have a row an example; `probe.on=monitor` reads them off the monitoring examples."""
EVERYTHING = SIGNALS | {"dw"}
MEANS = ("z_rms", "h_mean", "h_std", "dz_rms", "dx_rms", "dw_rms", "w_rms")
"""What every tier measures. All but `h_mean` are square roots of a mean."""


class Observation:
    """One look at one step: an `Observer`."""

    keeps = False

    def __init__(self, step: int, probe: "Probe") -> None:
        self.step, self._probe, self._rows = step, probe, probe.rows
        self.tensors = EVERYTHING
        self.sums: Any = [probe.zeros() for _ in MEANS]
        """What MEANS are means of, (R M) each: a list on a host, else a tensor."""
        self.counts = [[0] * len(probe.rows) for _ in MEANS]
        """How many entries each sum is over, (R,) each; 0 for what was not seen."""
        self._z, self._h_sum, self._h, self._dz, self._dx, self._dw, self._w = zip(self.sums, self.counts, strict=True)
        self.columns: dict[str, Any] = defaultdict(probe.blank)
        """What is measured beside, (R M) each; `direction_norm`, of which a column is made."""
        self.histograms: dict[Label, tuple[Tensor, Tensor]] = {}
        self.spectra: dict[int, Tensor] = {}

    def look_at(self, tensors: frozenset[str]) -> None:
        """What the coming pass shows; the training step's own is the one with `dw`."""
        self.tensors = tensors

    def output(self, part: Matrix, z_MBO: Tensor) -> None:
        if "z" in self.tensors:
            self._book(self._z, part.key, square(z_MBO), z_MBO)

    def activation(self, part: Matrix, z_MBN: Tensor, h_MBN: Tensor) -> None:
        if "h" in self.tensors:
            total, deviation = moments(h_MBN)
            self._book(self._h_sum, part.key, total, h_MBN)
            self._book(self._h, part.key, deviation, h_MBN)

    def block(self, layer: int, before: State, after: State) -> None:
        pass

    def state_gradient(self, layer: int, dx_MBN: Tensor) -> None:
        if "dx" in self.tensors:
            self._book(self._dx, (layer, ""), square(dx_MBN), dx_MBN)

    def backward(self, part: Part, gradient: Gradient) -> None:
        if "dz" in self.tensors and gradient.dz_MBO is not None:
            self._book(self._dz, part.key, square(gradient.dz_MBO), gradient.dz_MBO)
        if "dw" in self.tensors:
            weight = part.tensors["weight"]
            self._book(self._w, part.key, square(weight), weight)
            self._book(self._dw, part.key, gradient.square(), weight, gradient.batch_size**2)
            if not self._probe.optimizer.clips:
                self.updating(part, gradient)

    def updating(self, part: Part, gradient: Gradient) -> None:
        direction_M = self._probe.optimizer.direction_norm(part, gradient)
        if direction_M is not None:
            self.columns["direction_norm"][self._rows[part.key]] = numbers(direction_M)

    def updated(self, part: Part) -> None:
        pass

    def rebuilt(self, layer: int, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        if "dw" in self.tensors:
            error_M = norm(rebuilt_MBH - true_MBH) / norm(true_MBH)
            self.columns["rebuild_error"][self._rows[layer, ""]] = numbers(error_M)

    def milliseconds(self) -> dict[Label, float]:
        """A member's share of the time, by column and part."""
        return {}

    def _book(self, to: tuple[Any, list[int]], key: Key, sum_M: Any, of: Tensor, times: int = 1) -> None:
        """Writes the sum over a tensor where its part has its row; a state of two tensors comes as two sums."""
        sums, counts = to
        at = self._rows[key]
        row = at.start // self._probe.members
        if counts[row]:
            many = isinstance(sums, list)
            sum_M = [x + y for x, y in zip(sums[at], sum_M, strict=True)] if many else sums[at] + sum_M
        sums[at] = sum_M
        counts[row] += of.shape[-2] * of.shape[-1] * times


class Detailed(Observation):
    """An observation with the quantities of the full tier, and with histograms and spectra where they are due."""

    keeps = True

    def __init__(self, step: int, probe: "Probe") -> None:
        super().__init__(step, probe)
        self._histograms, self._spectra = probe.histograms(step), probe.spectra(step)

    def activation(self, part: Matrix, z_MBN: Tensor, h_MBN: Tensor) -> None:
        super().activation(part, z_MBN, h_MBN)
        if "h" in self.tensors:
            phi = self._probe.network.activation
            self._measure("h", part, h_MBN.detach())
            self._measure("slope", part, phi.slope(z_MBN.detach()) / phi.max_slope)
            if self._histograms:
                self.histograms["h", part.key] = histogram(h_MBN.detach())

    def block(self, layer: int, before: State, after: State) -> None:
        if self._spectra and "h" in self.tensors and layer > 1:
            self.spectra[layer] = singular_values(self._probe.network.jacobian(layer, before))

    def backward(self, part: Part, gradient: Gradient) -> None:
        super().backward(part, gradient)
        if "dz" in self.tensors and self._histograms and gradient.dz_MBO is not None:
            self.histograms["dz", part.key] = histogram(gradient.dz_MBO)
        if "dw" in self.tensors:
            self._measure("w", part, part.tensors["weight"].detach())
            if self._histograms:
                self.histograms["dw", part.key] = histogram(gradient.mean("weight"))

    def _measure(self, of: str, part: Part, x_MPQ: Tensor) -> None:
        for column, quantity in self._probe.of[of].items():
            self.columns[column][self._rows[part.key]] = numbers(quantity.measure(x_MPQ))


class Timed(Observation):
    """An observation that also books the time of each part, its own work left out."""

    keeps = True

    def __init__(self, step: int, probe: "Probe") -> None:
        super().__init__(step, probe)
        self._clock = Clock(probe.device)

    def look_at(self, tensors: frozenset[str]) -> None:
        super().look_at(tensors)
        self._clock.mark(None)

    def output(self, part: Matrix, z_MBO: Tensor) -> None:
        self._mark("forward_ms", part.key)
        super().output(part, z_MBO)
        self._clock.mark(None)

    def activation(self, part: Matrix, z_MBN: Tensor, h_MBN: Tensor) -> None:
        self._mark("forward_ms", part.key)
        super().activation(part, z_MBN, h_MBN)
        self._clock.mark(None)

    def block(self, layer: int, before: State, after: State) -> None:
        self._mark("forward_ms", (layer, ""))
        super().block(layer, before, after)
        self._clock.mark(None)

    def state_gradient(self, layer: int, dx_MBN: Tensor) -> None:
        self._mark("backward_ms", (layer, ""))
        super().state_gradient(layer, dx_MBN)
        self._clock.mark(None)

    def backward(self, part: Part, gradient: Gradient) -> None:
        if "dw" in self.tensors:
            gradient.form()
        self._mark("backward_ms", part.key)
        super().backward(part, gradient)
        self._clock.mark(None)

    def updating(self, part: Part, gradient: Gradient) -> None:
        super().updating(part, gradient)
        self._clock.mark(None)

    def updated(self, part: Part) -> None:
        self._mark("backward_ms", part.key)

    def milliseconds(self) -> dict[Label, float]:
        return {label: total / self._probe.members for label, total in self._clock.milliseconds().items()}

    def _mark(self, column: str, key: Key) -> None:
        """Only the training step's own pass is timed."""
        self._clock.mark((column, key) if "dw" in self.tensors else None)


OBSERVATIONS: dict[str, type[Observation]] = {"light": Observation, "full": Detailed, "cost": Timed}
"""What each tier makes of a step."""
