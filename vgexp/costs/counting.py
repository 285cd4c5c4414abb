"""What a training step costs, part by part, counted exactly and without running it.

The network is copied to the `meta` device, where tensors have shapes and no values, and steps are taken there under
torch's FLOP counter, saved-tensor hooks, and the count of live bytes.

Legend: M members, B batch, I inputs.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vgexp.costs.live import LiveBytes
from vgexp.networks import LOSSES, Gradient, Key, Matrix, Network, Observer, Part, Sgd, State


def _baddbmm_flops(target: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    """2 M I K O for (M, I, K) x (M, K, O); torch's counter does not know the in-place form."""
    members, rows, inner = left
    return 2 * members * rows * inner * right[-1]


FORMULAS = {torch.ops.aten.baddbmm_: _baddbmm_flops}


class _Ledger:
    """An Observer that books FLOPs and saved bytes to the part at work."""

    keeps = False

    def __init__(self, parameters: list[Tensor]) -> None:
        self.forward_flops: dict[Key, int] = defaultdict(int)
        self.backward_flops: dict[Key, int] = defaultdict(int)
        self.saved_bytes: dict[Key, int] = defaultdict(int)
        self.counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
        self._counted = 0
        self._pending_bytes = 0
        self._seen = {id(tensor.untyped_storage()) for tensor in parameters}
        self._alive: list[Tensor] = []

    def save(self, tensor: Tensor) -> Tensor:
        """Counts a storage the first time it is saved, parameters excepted."""
        if id(tensor.untyped_storage()) not in self._seen:
            self._seen.add(id(tensor.untyped_storage()))
            self._alive.append(tensor)  # keeps the storage's object from being given up for another
            self._pending_bytes += tensor.untyped_storage().nbytes()
        return tensor

    def output(self, part: Matrix, z_MBO: Tensor) -> None:
        self._book_forward(part.key)

    def activation(self, part: Matrix, z_MBN: Tensor, h_MBN: Tensor) -> None:
        self._book_forward(part.key)

    def block(self, layer: int, before: State, after: State) -> None:
        self._book_forward((layer, ""))

    def state_gradient(self, layer: int, dx_MBN: Tensor) -> None:
        pass

    def backward(self, part: Part, gradient: Gradient) -> None:
        pass

    def rebuilt(self, layer: int, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        pass

    def updating(self, part: Part, gradient: Gradient) -> None:
        pass

    def updated(self, part: Part) -> None:
        self.backward_flops[part.key] += self._flops_since()

    def _book_forward(self, key: Key) -> None:
        self.forward_flops[key] += self._flops_since()
        self.saved_bytes[key] += self._pending_bytes
        self._pending_bytes = 0

    def _flops_since(self) -> int:
        total = self.counter.get_total_flops()
        since, self._counted = total - self._counted, total
        return since


@dataclass(frozen=True)
class Costs:
    """What one training step and one inference cost, a member's share."""

    parts: dict[Key, dict[str, float]]
    """Part -> `flops`, forward and backward, and `saved_bytes` where everything is stored."""
    forward_flops: float
    backward_flops: float
    """Update and recomputation included."""
    live_bytes: float
    """The most that activations and their gradients take at once."""
    inference_bytes: float
    timeline: list[float]
    """Live bytes after each change; from `backward_at` on, of the backward pass."""
    backward_at: int

    def totals(self) -> dict[str, float]:
        """The columns of the `runs` table."""
        names = ("forward_flops", "backward_flops", "live_bytes", "inference_bytes")
        return {name: getattr(self, name) for name in names}


class Shadow:
    """A step of a network whose values are of no account: how its parts are updated, and a batch."""

    def __init__(
        self, network: Network, x_MBI: Tensor, target_MB: Tensor, optimizer: Callable[[list[Part]], Sgd]
    ) -> None:
        self.network, self.x, self.target = network, x_MBI, target_MB
        self.parts = list(self.network.parts.values())
        self.optimizer = optimizer(self.parts)
        self.parameters = [tensor for part in self.parts for tensor in part.state.values()]
        self.stepped = False

    @property
    def known(self) -> list[Tensor]:
        """What is there before a step that is not the first, and stays."""
        scratch = [tensor for part in self.network.matrices[:1] for tensor in part.scratch.values()]
        return [*self.parameters, *scratch, *self.optimizer.held, self.x, self.target]

    def forward(self, observer: Observer | None) -> tuple[Tensor, Tensor]:
        """The outputs of a step, which live until its end, and its losses."""
        z_MBC = self.network(self.x, observer, self.optimizer)
        loss = self.network.run.loss
        return z_MBC, LOSSES[loss](z_MBC, z_MBC.detach() if loss == "cotangent" else self.target)

    def backward(self, loss_MB: Tensor) -> None:
        """The backward pass, and the update where that comes after it."""
        loss_MB.sum().backward()
        self.optimizer.finish()
        self.stepped = True

    def live(self) -> tuple[LiveBytes, int]:
        """The bytes that a step keeps alive, and where in their timeline its backward pass begins."""
        if not self.stepped:
            self.backward(self.forward(None)[1])  # makes the buffers that are kept from step to step
        with LiveBytes(self.known) as live:
            z_MBC, loss_MB = self.forward(None)
            backward_at = len(live.timeline)
            self.backward(loss_MB)
            del z_MBC, loss_MB
        return live, backward_at


def ledger(network: Network, x_MBI: Tensor, target_MB: Tensor, optimizer: Callable[[list[Part]], Sgd]) -> Costs:
    """Counts a step of a network without running it. `optimizer` makes one for the copied parts.

    The batch is saved by the first layer, hence counted among its saved bytes; live bytes leave it out. What a layer
    recomputes is booked to the part whose backward pass asked for it.
    """
    return count(Shadow(network.to("meta"), x_MBI.to("meta"), target_MB.to("meta"), optimizer))


def count(shadow: Shadow) -> Costs:
    """The ledger of a step on the `meta` device."""
    books = _Ledger(shadow.parameters)
    with books.counter, torch.autograd.graph.saved_tensors_hooks(books.save, lambda tensor: tensor):
        loss_MB = shadow.forward(books)[1]
        forward_flops = books.counter.get_total_flops()
        shadow.backward(loss_MB)
        del loss_MB
    live, backward_at = shadow.live()
    with LiveBytes(shadow.known) as inference, torch.no_grad():
        shadow.network(shadow.x)
    members = shadow.x.shape[0]
    booked = {
        part.key: {
            "flops": (books.forward_flops[part.key] + books.backward_flops[part.key]) / members,
            "forward_flops": books.forward_flops[part.key] / members,
            "backward_flops": books.backward_flops[part.key] / members,
        }
        for part in shadow.parts
    }
    if shadow.network.run.memory == "store":
        for key, saved in books.saved_bytes.items():
            booked[key]["saved_bytes"] = saved / members
    return Costs(
        parts=booked,
        forward_flops=forward_flops / members,
        backward_flops=(books.counter.get_total_flops() - forward_flops) / members,
        live_bytes=live.peak / members,
        inference_bytes=inference.peak / members,
        timeline=[live_bytes / members for live_bytes in live.timeline],
        backward_at=backward_at,
    )
