"""Operations: each that runs, in both directions, with what went in, what came out, and where it was called.

They are seen below autograd, so casts of autocast, operations in place, what a function is made of, what a checkpoint
computes anew and the formulas of derivatives are all there. No tensor is kept.
"""

import inspect
import math
import re
import weakref
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from vgexp.numerics import torch_private
from vgexp.watching.hooks.doubles import doubled
from vgexp.watching.hooks.layers import bare, tensors
from vgexp.watching.tracing.arguments import memory
from vgexp.watching.tracing.extents import Extent, entries, extent, joined
from vgexp.watching.tracing.places import Places

NAMES = {
    "addmm": "matmul",
    "addmv": "matmul",
    "baddbmm": "matmul",
    "bmm": "matmul",
    "dot": "matmul",
    "linear": "matmul",
    "mkldnn_linear": "matmul",
    "mkldnn_linear_pointwise": "matmul",
    "linear_pointwise": "matmul",
    "mm": "matmul",
    "mv": "matmul",
    "convolution": "conv",
    "to_copy": "cast",
    "batch_norm_legit": "batch_norm",
    "cudnn_batch_norm": "batch_norm",
    "fused_rms_norm": "rms_norm",
    "safe_softmax": "softmax",
    "vector_norm": "norm",
    "weight_norm_interface": "weight_norm",
}
"""The names people use, where those of torch's inside are others."""
UNFINISHED = ("empty", "new_empty", "resize")
"""What these put out has not been written yet."""


OVERWRITING = ("bernoulli", "copy", "exponential", "fill", "normal", "random", "uniform", "zero")
"""What stood where these write does not matter."""
HIDING = ("where", "masked_fill", "clamp", "minimum", "maximum", "nan_to_num", "index", "select", "slice", "gather")

PLACING = ("full", "new_full", "fill", "masked_fill", "where", "scalar_tensor", "constant_pad", "index_fill")
"""These put a number that they are given where it is wanted, as a mask does."""
NUMBERS = ("self", "other", "exponent")
"""Arguments that are reckoned with also where they are numbers."""


class Source(NamedTuple):
    """A tensor that no operation made."""

    kind: str
    """`weights`, `buffer` or `input`."""
    module: str
    name: str
    """Of the module that owns it, and its own; empty for inputs."""
    extent: Extent
    dtype: torch.dtype
    masks: bool
    """Whether -inf alone is not finite in it, as in masks."""


@dataclass(slots=True, eq=False)
class Operation:
    """One operation of torch."""

    order: int
    name: str
    module: str
    """The innermost module that ran."""
    line: str
    """The first line outside torch and this package: `file:number: text`."""
    derives: "Operation | None"
    """The operation whose derivative this is part of."""
    dtype: torch.dtype
    inputs: list[Extent]
    """Of each tensor and number that went in."""
    output: Extent
    causes: "list[Operation | Source]" = field(default_factory=list)
    """What made those inputs that are not finite: those with NaN, if there are any."""
    fed: bool = False
    """Whether a number that it was called with is not finite."""
    exact: float = math.nan
    """Where finite inputs gave something that is not: the largest magnitude in float64; NaN where that is not finite
    either, or not known."""
    hidden_by: str = ""
    """The operation that took an output that is not finite, and put out one that is."""

    @property
    def masks(self) -> bool:
        """Whether it puts infinities somewhere on purpose: full(-inf), masked_fill(-inf)."""
        return self.fed and not self.output.nan and self.name.startswith(PLACING)


def is_nan(maker: Operation | Source) -> bool:
    """Whether NaN is in what was made."""
    return (maker.output if isinstance(maker, Operation) else maker.extent).nan


class Recorder:
    """Records the operations inside `with`."""

    def __init__(self, model: nn.Module) -> None:
        self._places = Places(model)
        self._owned = {
            id(memory(x)): (
                "weights" if x.requires_grad else "buffer",
                path or type(module).__name__,
                name,
            )
            for path, module in bare(model).named_modules()
            for name, x in [*module.named_buffers(recurse=False), *module.named_parameters(recurse=False)]
        }
        self._makers: dict[int, list[Operation]] = {}
        """By storage: the operations that wrote something there that is not finite. torch gives a storage one Python
        object, for as long as anything holds it."""
        self._nodes: dict[int, Operation] = {}
        """By number: the operations that made nodes of autograd's graph."""
        self._handed: dict[str, list[Operation | Source]] = {}
        """What made the infinity or the NaN that was handed over to Python last."""
        self.last: list[Operation | Source] = []
        """The last operation whose result was not finite, NaN before infinities; or what it was given of that kind."""
        self._order = count()
        self._operations = torch_private.each_operation(self._perform)

    def __enter__(self) -> Self:
        frame = inspect.currentframe()
        self._bottom = frame.f_back if frame else None
        self._first = torch_private.last_node()
        self._operations.__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._bottom = None
        self._operations.__exit__(*raised)

    def makers(self, x: Tensor) -> "list[Operation | Source]":
        """What made the entries of a tensor that are not finite."""
        made = self._makers.get(id(memory(x)))
        if made:
            return list(made)
        kind, module, name = self._owned.get(id(memory(x)), ("input", "", ""))
        found = extent(x)
        masks = not found.nan and not x.is_complex() and not bool((entries(x) == math.inf).any())
        return [Source(kind, module, name, found, x.dtype, masks)]

    def _perform(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        node, number, name = torch_private.current_node(), torch_private.last_node(), _name(function)
        given = _given(name, torch_private.arguments(function, args, kwargs))
        before = {id(x): x.clone() for x in given.written if any(x is y for y, _ in given.tensors)}
        result = function(*args, **kwargs)
        written = [] if name.startswith(UNFINISHED) else [result, given.written]
        came_out = [(x, extent(x)) for x in tensors(written)]
        module, line, _ = self._places.here(self._bottom)
        owner = self._derived(node)
        derives = owner if not (module or line) else None
        if derives is not None:
            name, line = derives.name, derives.line
        if owner is not None and not module:  # a derivative, or what a checkpoint computes anew
            module = owner.module
        counted = [Extent(x, x) for argument, x in given.numbers if argument in NUMBERS and math.isfinite(x)]
        operation = Operation(
            order=next(self._order),
            name=name,
            module=module,
            line=line,
            derives=derives,
            dtype=came_out[0][0].dtype if came_out else torch.float32,
            inputs=[found for _, found in given.tensors] + counted,
            output=joined(found for _, found in came_out),
            fed=any(not math.isfinite(x) for _, x in given.numbers),
        )
        if derives is None and number > self._first:
            self._nodes.setdefault(number, operation)
        self._blame(operation, given, result)
        if not operation.output.finite and not operation.causes and not operation.fed:
            operation.exact = _largest(function, doubled((args, kwargs), before))
        self._sign(operation, list(tensors([args, kwargs])), given.written, came_out)
        return result

    def _derived(self, node: Any) -> Operation | None:
        """The operation that made a node of the graph."""
        if node is None:
            return None
        number = torch_private.sequence(node)
        if type(node).__name__ == "CopySlices":  # made after the operation that wrote in place, to stand for it
            number -= 1
        return self._nodes.get(number)

    def _blame(self, operation: Operation, given: "Given", result: Any) -> None:
        """Writes down what made those inputs that are not finite, if the output is not; else that they are hidden."""
        bad = [(x, found) for x, found in given.tensors if not found.finite]
        broken = [x for x, found in bad if found.nan] or [x for x, _ in bad]
        makers = [maker for x in broken for maker in self.makers(x)]
        if isinstance(result, float) and not math.isfinite(result):  # handed over to Python, as by item()
            self._handed[str(result)] = makers
        makers += [maker for _, x in given.numbers for maker in self._handed.get(str(x), [])]
        if not operation.output.finite:
            self._note([operation])
        elif bad:
            self._note(makers)
        for maker in makers:
            if not operation.output.finite:
                operation.causes.append(maker)
            elif isinstance(maker, Operation) and operation.name.startswith(HIDING):
                maker.hidden_by = maker.hidden_by or operation.name

    def _note(self, makers: "list[Operation | Source]") -> None:
        if any(map(is_nan, makers)) or not any(map(is_nan, self.last)):
            self.last = list(makers)

    def _sign(
        self, operation: Operation, given: list[Tensor], written: list[Tensor], came_out: list[tuple[Tensor, Extent]]
    ) -> None:
        """Writes down the operation as the maker of what it put out; views are made by what made their base."""
        taken = {id(memory(x)) for x in given}
        for x, found in came_out:
            storage = memory(x)
            fresh = id(storage) not in taken
            if not fresh and not any(x is y for y in written):
                continue
            if id(storage) not in self._makers:
                self._makers[id(storage)] = []
                weakref.finalize(storage, self._makers.pop, id(storage), None)
            makers = self._makers[id(storage)]
            if fresh or x.numel() * x.itemsize == storage.nbytes():
                makers.clear()
            if not found.finite and operation not in makers:
                makers.append(operation)


class Given(NamedTuple):
    """What an operation is called with."""

    tensors: list[tuple[Tensor, Extent]]
    """Those that it reads."""
    numbers: list[tuple[str, float]]
    """By the name of the argument."""
    written: list[Tensor]


def _given(name: str, arguments: list[tuple[str, Any, bool]]) -> Given:
    trained = any(value is True for argument, value, _ in arguments if argument in ("training", "train"))
    unread = ("running_",) if trained else ()
    overwritten = ("self", "out") if name.startswith(OVERWRITING) else ("out",)
    read = [
        (argument, value)
        for argument, value, writes in arguments
        if not argument.startswith(overwritten if writes else unread)
    ]
    return Given(
        [(x, extent(x)) for _, value in read for x in tensors([value])],
        [(argument, float(value)) for argument, value in read if type(value) in (int, float)],
        [x for _, value, writes in arguments if writes for x in tensors([value])],
    )


def _largest(function: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> float:
    """The largest magnitude of what an operation puts out for some arguments; NaN where that is not finite."""
    args, kwargs = arguments
    try:
        found = joined(extent(x) for x in tensors([function(*args, **kwargs)]))
    except (RuntimeError, TypeError):
        return math.nan
    return max(abs(found.low), abs(found.high)) if found.finite else math.nan


def _name(function: Any) -> str:
    """The name of an operation as people use it."""
    name = re.split(r"::|\.", function.name())[1].strip("_")
    name = re.sub(r"^(native|linalg|cudnn|miopen|mkldnn)_|_(forward|out|functional)$", "", name)
    return NAMES.get(name, name)
