"""Live bytes: what a piece of code keeps alive, storage by storage, exact and the same every time.

A storage counts from the operation that makes it until nobody holds it any more; those that were there before
(parameters, the batch) do not. It works on the `meta` device too, where a step costs no memory and no arithmetic.
"""

import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Self

from torch import Tensor

from vgexp.numerics import torch_private


class LiveBytes:
    """Counts inside `with`; `timeline` has one number for each change, `peak` is the largest."""

    def __init__(self, known: Iterable[Tensor] = ()) -> None:
        """The storages of `known` are not counted."""
        self.live = self.peak = 0
        self.timeline = [0]
        self._seen = {id(tensor.untyped_storage()) for tensor in known}
        """torch gives a storage one Python object, for as long as anything holds the storage."""
        self._operations = torch_private.each_operation(self._perform)

    def __enter__(self) -> Self:
        self._operations.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._operations.__exit__(*raised)

    def _perform(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = operation(*args, **kwargs)
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if id(storage) not in self._seen:
                self._seen.add(id(storage))
                weakref.finalize(storage, self._part, id(storage), storage.nbytes())
                self._change(storage.nbytes())
        return result

    def _part(self, storage: int, nbytes: int) -> None:
        self._seen.discard(storage)
        self._change(-nbytes)

    def _change(self, nbytes: int) -> None:
        self.live += nbytes
        self.peak = max(self.peak, self.live)
        self.timeline.append(self.live)


def _tensors(result: Any) -> Iterator[Tensor]:
    """The tensors that an operation returns: one, or lists and tuples of them."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, list | tuple):
        for part in result:
            yield from _tensors(part)
