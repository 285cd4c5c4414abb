"""What a training step costs, layer by layer, counted exactly and without running it.

The network is copied to the `meta` device, where tensors have shapes and no values, and steps are taken there under
torch's FLOP counter, saved-tensor hooks, and the count of live bytes.

Legend: M members, B batch, I inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vgexp.costs.live import LiveBytes
from vgexp.networks import LOSSES, Linear, Plain, Update, WeightGradient


def _baddbmm_flops(target: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    """2 M I K O for (M, I, K) x (M, K, O); torch's counter does not know the in-place form."""
    members, rows, inner = left
    return 2 * members * rows * inner * right[-1]


FORMULAS = {torch.ops.aten.baddbmm_: _baddbmm_flops}


class _Ledger:
    """An Observer that books FLOPs and saved bytes to the layer at work."""

    keeps = False

    def __init__(self, parameters: list[Tensor]) -> None:
        self.forward_flops: dict[int, int] = {}
        self.backward_flops: dict[int, int] = {}
        self.saved_bytes: dict[int, int] = {}
        self.counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
        self._counted = 0
        self._pending_bytes = 0
        self._seen = {id(tensor.untyped_storage()) for tensor in parameters}
        self._alive: list[Tensor] = []

    def save(self, tensor: Tensor) -> Tensor:
        """Counts a storage the first time it is saved, parameters excepted."""
        storage = tensor.untyped_storage()
        if id(storage) not in self._seen:
            self._seen.add(id(storage))
            self._alive.append(tensor)  # so that no other storage gets its id
            self._pending_bytes += storage.nbytes()
        return tensor

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        self._book(layer, self.forward_flops)
        self.saved_bytes[layer.index] = self._pending_bytes
        self._pending_bytes = 0

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        pass

    def rebuilt(self, layer: Linear, rebuilt_MBH: Tensor, true_MBH: Tensor) -> None:
        pass

    def updated(self, layer: Linear) -> None:
        self._book(layer, self.backward_flops)

    def _book(self, layer: Linear, to: dict[int, int]) -> None:
        total = self.counter.get_total_flops()
        to[layer.index] = total - self._counted
        self._counted = total


@dataclass(frozen=True)
class Costs:
    """What one training step and one inference cost, a member's share."""

    layers: dict[int, dict[str, float]]
    """Layer -> `flops`, forward and backward, and `saved_bytes` where everything is stored."""
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


def ledger(network: Plain, x_MBI: Tensor, target_MB: Tensor, optimizer: Callable[[list[Linear]], Update]) -> Costs:
    """Counts a step of a network without running it. `optimizer` makes one for the copied layers.

    The batch is saved by the first layer, hence counted among its saved bytes; live bytes leave it out. What a layer
    recomputes is booked to the layer whose backward pass asked for it.
    """
    shadow = network.to("meta")
    update = optimizer(shadow.layers)
    x_meta, target = x_MBI.to("meta"), target_MB.to("meta")

    def loss(z_MBC: Tensor) -> Tensor:
        return LOSSES[network.run.loss](z_MBC, z_MBC.detach() if network.run.loss == "cotangent" else target)

    loss(shadow(x_meta, None, update)).sum().backward()  # makes the buffers that are kept from step to step
    parameters = [tensor for layer in shadow.layers for tensor in (layer.weight_MIO, layer.bias_M1O)]
    known = [*parameters, *shadow.layers[0].scratch.values(), x_meta, target]
    with LiveBytes(known) as live, torch.no_grad():
        shadow(x_meta)
    inference = live.peak

    with LiveBytes(known) as live:
        z_MBC = shadow(x_meta, None, update)
        loss_MB = loss(z_MBC)
        backward_at = len(live.timeline)
        loss_MB.sum().backward()
        del z_MBC, loss_MB

    books = _Ledger(parameters)
    with books.counter, torch.autograd.graph.saved_tensors_hooks(books.save, lambda tensor: tensor):
        z_MBC = shadow(x_meta, books, update)
        forward_flops = books.counter.get_total_flops()
        loss(z_MBC).sum().backward()
    members = x_MBI.shape[0]
    layers = {
        index: {
            "flops": (forward + books.backward_flops[index]) / members,
            "forward_flops": forward / members,
            "backward_flops": books.backward_flops[index] / members,
        }
        for index, forward in books.forward_flops.items()
    }
    if network.run.memory == "store":
        for index, saved in books.saved_bytes.items():
            layers[index]["saved_bytes"] = saved / members
    return Costs(
        layers=layers,
        forward_flops=forward_flops / members,
        backward_flops=(books.counter.get_total_flops() - forward_flops) / members,
        live_bytes=live.peak / members,
        inference_bytes=inference / members,
        timeline=[live_bytes / members for live_bytes in live.timeline],
        backward_at=backward_at,
    )
