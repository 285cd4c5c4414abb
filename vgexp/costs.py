"""What a training step costs, layer by layer, counted exactly and without running it.

The network is copied to the `meta` device, where tensors have shapes and no values, and one step is taken
there under torch's FLOP counter and saved-tensor hooks.

Legend: M members, B batch, I inputs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from vgexp.layers import Linear, Update, WeightGradient
from vgexp.models import Plain


def _baddbmm_flops(target: Any, left: Any, right: Any, *_: Any, **__: Any) -> int:
    """2 M I K O for (M, I, K) x (M, K, O); torch's counter does not know the in-place form."""
    members, rows, inner = left
    return 2 * members * rows * inner * right[-1]


FORMULAS = {torch.ops.aten.baddbmm_: _baddbmm_flops}


class _Ledger:
    """An Observer that books FLOPs and saved bytes to the layer at work."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.flops: dict[int, int] = {}
        self.saved_bytes: dict[int, int] = {}
        self.counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
        self._counted = 0
        self._pending_bytes = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in parameters}
        self._alive: list[Tensor] = []

    def save(self, tensor: Tensor) -> Tensor:
        """Counts a storage the first time it is saved, parameters excepted."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen.add(storage._cdata)
            self._alive.append(tensor)  # keeps the address from being given to another tensor
            self._pending_bytes += storage.nbytes()
        return tensor

    def forward(self, layer: Linear, z_MBO: Tensor, h_MBO: Tensor | None) -> None:
        self._book(layer)
        self.saved_bytes[layer.index] = self._pending_bytes
        self._pending_bytes = 0

    def backward(self, layer: Linear, gradient: WeightGradient) -> None:
        pass

    def updated(self, layer: Linear) -> None:
        self._book(layer)

    def _book(self, layer: Linear) -> None:
        total = self.counter.get_total_flops()
        self.flops[layer.index] = self.flops.get(layer.index, 0) + total - self._counted
        self._counted = total


def ledger(network: Plain, x_MBI: Tensor, optimizer: Callable[[list[Linear]], Update]) -> dict[int, dict[str, float]]:
    """FLOPs (forward, backward and update) and bytes saved for the backward of one step, by layer, a member's
    share.

    `optimizer` makes one for the copied layers. The batch itself is saved by the first layer, hence counted
    there.
    """
    shadow = network.to("meta")
    parameters = [tensor for layer in shadow.layers for tensor in (layer.weight_MIO, layer.bias_M1O)]
    books = _Ledger(parameters)
    with books.counter, torch.autograd.graph.saved_tensors_hooks(books.save, lambda tensor: tensor):
        x_meta = torch.empty(x_MBI.shape, dtype=x_MBI.dtype, device="meta")
        shadow(x_meta, books, optimizer(shadow.layers)).sum().backward()
    members = x_MBI.shape[0]
    return {
        index: {"flops": books.flops[index] / members, "saved_bytes": books.saved_bytes[index] / members}
        for index in books.flops
    }
