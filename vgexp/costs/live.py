"""Live bytes: what a piece of code keeps alive, storage by storage, exact and the same every time.

A storage counts from the operation that makes it until nobody holds it any more; those that were there before
(parameters, the batch) do not. It works on the `meta` device too, where a step costs no memory and no arithmetic.
"""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts inside `with`; `timeline` has one number for each change, `peak` is the largest."""

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.timeline = [0]
        self._seen = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._meet(tensor.untyped_storage())
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._seen:
            return
        self._seen.add(storage._cdata)
        weakref.finalize(storage, self._part, storage._cdata, storage.nbytes())
        self._change(storage.nbytes())

    def _part(self, address: int, nbytes: int) -> None:
        self._seen.discard(address)
        self._change(-nbytes)

    def _change(self, nbytes: int) -> None:
        self.live += nbytes
        self.peak = max(self.peak, self.live)
        self.timeline.append(self.live)
