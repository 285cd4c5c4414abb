"""Precision: what low precision loses of a gradient, by the same problem in float64.

float16 has no number below 6e-8 and none above 65504: a gradient of 1e-9 is 0 there, and the network below it does not
learn although it is sound. Half of that is seen from dz alone, by its dtype, its size and its zeros; the rest needs the
comparison.

>>> rows = [{"name": "0", "call": 0, "norm": 0.0, "zeros": 1.0}, {"name": "2", "call": 0, "norm": 1e-6, "zeros": 0.9}]
>>> exact = [{"name": "0", "call": 0, "norm": 2e-9, "zeros": 0.0}, {"name": "2", "call": 0, "norm": 1e-6, "zeros": 0.5}]
>>> comparison(rows, exact, torch.float16)
'float16 rounds dz of 1 of 2 layers to 0; in float64 ||dz|| is 2e-09 (0)'
"""

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from vgexp.config import named
from vgexp.numerics import WITHOUT_FLOAT64, torch_private, total_norm
from vgexp.watching.hooks.calls import NARROW
from vgexp.watching.hooks.doubles import double, double_of, doubled
from vgexp.watching.hooks.layers import bare, layers_of, tensors
from vgexp.watching.tracing.batches import outcome
from vgexp.watching.tracing.places import Places
from vgexp.watching.tracing.state import untouched

Row: TypeAlias = Mapping[str, Any]
"""dz of one call of a layer: `name`, `call`, `norm` (Euclidean, over the whole batch), `zeros` (the fraction of entries
that are exactly 0); and, where it is judged alone, `entries` and `dtype`."""
NEXT_TO_ZERO = 3
"""Where the entries that are left have a root mean square below so many times the smallest number, a tenth or more
of normal ones was rounded to 0."""
THINNED, OFF = 0.1, 0.1
"""dz is lost in part where so many more of its entries are 0 than in float64, and its norm is off by so many decades:
where the norm is right, the entries that are left carry it."""
SHARE = 1 / 3
"""Where fewer of the layers lose a part of their gradient, these are weak branches: queries and keys of attention get
little."""
UNSCALED = "with the loss times"
"""Said where a scale of the loss does not help."""
SCALE = 2.0**15
"""The loss times this is tried where dz is rounded to 0: the largest power of 2 in float16."""
ADVICE = {
    UNSCALED: "bfloat16 or float32 there: forward a number is too large or too small, or a larger scale is needed",
    "rounds": "scale the loss (torch.amp.GradScaler), or bfloat16, which has the range of float32",
    "overflows": "a smaller scale of the loss (GradScaler finds one within some steps), or bfloat16",
}
"""What helps, by what the sentence says."""


class Twin(NamedTuple):
    """The same problem in float64."""

    problem: tuple[nn.Module, Any, Any] | None
    """The copy of the model, the batch and the loss; None where there is none."""
    why: str
    """Why there is none, or what of it is not in float64; empty where all is."""


def in_float64(model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Tensor] | None = None) -> Twin:
    """The same problem on a copy in float64, complex numbers in complex128, from devices without float64 on the host.

    It is tried by one forward pass. There is none where weights are integers (quantized) or of a class of their own,
    where the model cannot be copied or does not run in float64, and where its code casts to a narrow type.
    """
    for name, x in [*bare(model).named_parameters(), *bare(model).named_buffers()]:
        if x.is_quantized or (isinstance(x, nn.Parameter) and not (x.is_floating_point() or x.is_complex())):
            return Twin(None, f"{name} is quantized ({_plain(x.dtype)}): there is no float64 of it")
        if type(x) not in (nn.Parameter, nn.Buffer, Tensor):
            return Twin(None, f"{name} is a {type(x).__name__}, which float64 does not know")
    twin = _tried(model, batch, loss_fn, attributes=False)
    if twin.why:  # a dtype that a module keeps may be the one to cast to, or that of its autocast
        other = _tried(model, batch, loss_fn, attributes=True)
        return other if other.problem is not None else twin
    return twin


def _tried(model: nn.Module, batch: Any, loss_fn: Any, attributes: bool) -> Twin:
    try:
        problem = _widened(deepcopy(model), attributes), doubled(batch), _widened_loss(loss_fn)
        casts = _casts(*problem)
    except Exception as error:  # whatever a model of somebody's raises
        return Twin(None, f"a copy in float64 raises {named(error)}")
    narrow = next((where for dtype, where in casts.items() if dtype in NARROW), None)
    return Twin(None, narrow) if narrow is not None else Twin(problem, "; ".join(casts.values()))


def profile(
    model: nn.Module, batch: Any, loss_fn: Callable[[Any, Any], Tensor] | None = None, scale: float = 1.0
) -> list[Row]:
    """dz of each call of a layer, in the order of execution, by one forward and one backward pass of the loss times a
    scale. The model is left as it was."""
    rows: list[dict[str, Any]] = []
    calls: Counter[str] = Counter()

    def called(name: str, module: nn.Module, args: Any, output: Any) -> None:
        x = next(tensors(output), None)
        if x is not None and x.requires_grad and not torch_private.in_backward():
            row = {"name": name, "call": calls[name]}
            calls[name] += 1
            rows.append(row)
            x.register_hook(partial(returned, row))

    def returned(row: dict[str, Any], dz: Tensor | None) -> None:
        if dz is None:  # as where the states of a packed sequence alone are read
            return
        alive = dz.float() if dz.itemsize == 1 else dz
        zeros = 1 - float(alive.count_nonzero()) / max(dz.numel(), 1)
        row |= {"norm": float(total_norm(dz)), "zeros": zeros, "entries": dz.numel(), "dtype": dz.dtype}

    handles = [layer.module.register_forward_hook(partial(called, layer.name)) for layer in layers_of(model)]
    try:
        with untouched(model):
            loss = outcome(model, batch, loss_fn).loss
            loss.backward(torch.full_like(loss, scale))
    finally:
        for handle in handles:
            handle.remove()
    return [row for row in rows if "norm" in row]


def comparison(low: Sequence[Row], exact: Sequence[Row], dtype: torch.dtype) -> str | None:
    """What a low precision `dtype` loses of the gradients that float64 has, in a sentence; None where it is nothing.

    The rows are matched by name and call. What float64 rounds to 0 too is not lost.
    """
    twins = {(row["name"], row["call"]): row for row in exact}
    pairs = [(row, twins[row["name"], row["call"]]) for row in low if (row["name"], row["call"]) in twins]
    pairs = [(row, twin) for row, twin in pairs if 0 < twin["norm"] < math.inf]
    broken = [twin for row, twin in pairs if not math.isfinite(row["norm"])]
    if broken:
        return f"{_plain(dtype)} overflows in dz of {_of(broken, pairs)}; {_sizes(broken)}"
    gone = [twin for row, twin in pairs if row["norm"] == 0]
    if gone:
        return f"{_plain(dtype)} rounds dz of {_of(gone, pairs)} to 0; {_sizes(gone)}"
    thinned = [(row, twin) for row, twin in pairs if _is_thinned(row, twin)]
    if len(thinned) > SHARE * len(pairs):
        row, twin = max(thinned, key=lambda pair: pair[0]["zeros"] - pair[1]["zeros"])
        few = _of([twin for _, twin in thinned], pairs)
        zeros = f"{row['zeros']:.0%} of its entries are 0, {twin['zeros']:.0%} in float64"
        size = f"||dz|| is {row['norm']:.2g}, {twin['norm']:.2g} in float64"
        return f"{_plain(dtype)} rounds part of dz of {few} to 0: at {row['name']} {zeros}, {size}"
    return None


def next_to_zero(rows: Sequence[Row]) -> str | None:
    """Whether dz is rounded to 0, from its dtype, size and zeros alone, in a sentence; None where nothing says so.

    The rows are in the order of execution. Zeros alone say nothing, since rectifiers make them: the entries that are
    left have to be next to the smallest number of a narrow type, or those of a layer above them to be so and the rest
    to be 0.
    """
    narrow = [row for row in rows if row["dtype"] in NARROW]
    left = [row for row in narrow if 0 < row["norm"] < math.inf]
    small = [row for row in left if _rms(row) < NEXT_TO_ZERO * _smallest(row["dtype"])]
    gone = [row for row in narrow if row["norm"] == 0]
    if not narrow or (left and (not small or len(small) + len(gone) <= SHARE * len(narrow))):
        return None
    name, smallest = _plain(narrow[0]["dtype"]), f"{_smallest(narrow[0]['dtype']):.1g}"
    if not small:
        return f"dz of all {len(narrow)} layers is exactly 0 in {name}, which has no number below {smallest}"
    row = min(small, key=_rms)
    words = f"{name} has no number below {smallest}: at {row['name']} {row['zeros']:.0%} of dz is 0, the rest is "
    return words + f"{_rms(row):.1g} (rms)" + (f"; in {len(gone)} other layers all of it is 0" if gone else "")


def _widened(model: nn.Module, attributes: bool = False) -> nn.Module:
    """A model of one's own, made to hold float64 in the place of every narrower type: also in tensors that are plain
    attributes of its modules, and, if asked for, in dtypes that are."""
    kinds = Tensor | torch.dtype if attributes else Tensor
    for p in model.parameters():
        p.grad = None
    if any(p.device.type in WITHOUT_FLOAT64 for p in model.parameters()):
        model = model.cpu()
    for p in model.parameters():
        p.data = double(p.data)
    for module in model.modules():
        for name, x in list(module.named_buffers(recurse=False)):
            setattr(module, name, double(x))
        for name, value in list(vars(module).items()):
            if isinstance(value, kinds):
                setattr(module, name, doubled(value))
    return model


def _widened_loss(loss_fn: Any) -> Any:
    """A loss with its weights in float64, where they can be seen."""
    if isinstance(loss_fn, nn.Module):
        return _widened(deepcopy(loss_fn))
    if isinstance(loss_fn, partial):
        return partial(_widened_loss(loss_fn.func), *doubled(loss_fn.args), **doubled(loss_fn.keywords))
    return loss_fn


def _casts(model: nn.Module, batch: Any, loss_fn: Any) -> dict[torch.dtype, str]:
    """The narrower types that a forward pass in float64 casts to, and where it first does."""
    found: dict[torch.dtype, str] = {}
    places, bottom = Places(model), inspect.currentframe()

    def perform(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = operation(*args, **kwargs)
        wide = any(x.dtype is double_of(x.dtype) for x in tensors([args, kwargs]))
        for x in tensors(result) if wide else ():
            if x.dtype is not double_of(x.dtype) and x.dtype not in found:
                place = places.here(bottom)
                where = place.line or place.module or "the loss"
                found[x.dtype] = f"{where} casts to {_plain(x.dtype)}"
        return result

    with untouched(model), torch_private.each_operation(perform):
        outcome(model, batch, loss_fn)
    return found


def _is_thinned(row: Row, twin: Row) -> bool:
    return row["zeros"] > twin["zeros"] + THINNED and abs(math.log10(row["norm"] / twin["norm"])) > OFF


def _of(some: Sequence[Row], pairs: Sequence[Any]) -> str:
    return f"{len(some)} of {len(pairs)} layers"


def _sizes(rows: Sequence[Row]) -> str:
    low, high = min(rows, key=lambda row: row["norm"]), max(rows, key=lambda row: row["norm"])
    sizes = f"{low['norm']:.2g} ({low['name']})"
    return f"in float64 ||dz|| is {sizes}" + (f" to {high['norm']:.2g} ({high['name']})" if high is not low else "")


def _rms(row: Row) -> float:
    """The root mean square of the entries of dz that are not 0."""
    return row["norm"] / math.sqrt(max(row["entries"] * (1 - row["zeros"]), 1))


def _smallest(dtype: torch.dtype) -> float:
    """The smallest positive number of a type, subnormal ones included."""
    return torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
