"""Pitfalls: what to do about an operation that made a number that is not finite."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch

from vgexp.watching.tracing.operations import Operation

Pitfall: TypeAlias = tuple[Callable[[Operation], bool], str]
"""Whether an operation fell into it, and what to do."""


def forward(operation: Operation) -> bool:
    """Whether the operation itself made the number."""
    return operation.derives is None


def backward(operation: Operation) -> bool:
    """Whether its derivative made the number."""
    return operation.derives is not None


def at_zero(operation: Operation) -> bool:
    """Whether 0 went in first."""
    return _touches(operation, 0, 0)


def below_zero(operation: Operation) -> bool:
    """Whether a negative number went in first."""
    return forward(operation) and bool(operation.inputs) and operation.inputs[0].low < 0


def beyond_one(operation: Operation) -> bool:
    """Whether a number went in first that is no sine."""
    inputs = operation.inputs
    return forward(operation) and bool(inputs) and max(abs(inputs[0].low), abs(inputs[0].high)) > 1


def by_zero(operation: Operation) -> bool:
    """Whether 0 went in second."""
    return _touches(operation, 1, 0)


def masked(operation: Operation) -> bool:
    """Whether an infinity went in."""
    return any(extent.inf for extent in (operation.derives or operation).inputs)


def always(operation: Operation) -> bool:
    """Whatever went in."""
    return True


def _touches(operation: Operation, number: int, value: float) -> bool:
    inputs = (operation.derives or operation).inputs
    return len(inputs) > number and inputs[number].low <= value <= inputs[number].high


LOGARITHM: list[Pitfall] = [
    (below_zero, "the logarithm of a negative number is NaN: find out why it is negative, or clamp it"),
    (
        always,
        "the logarithm of 0 is infinite, and so is its derivative: log_softmax or logsigmoid in the place of the "
        "logarithm of a probability, or clamp it",
    ),
]
DIVISION: list[Pitfall] = [
    (backward, "the derivative of a quotient is infinite where it divides by 0: add a small number to the divisor"),
    (by_zero, "a division by 0: add a small number to the divisor, or clamp it"),
]
ARC: list[Pitfall] = [
    (beyond_one, "it is not defined above 1 or below -1, where rounding may lead: clamp what goes in to {near_one}"),
    (always, "it is infinite at 1 and -1, or its derivative is: clamp what goes in to {near_one}"),
]
OVERFLOW: list[Pitfall] = [(always, "clamp what goes in, or compute with its logarithm (logsumexp, log_softmax)")]
SOFTMAX: list[Pitfall] = [
    (masked, "a row that is masked everywhere is 0/0: give it one key, or a large negative number for the mask's -inf"),
]
NORMALIZATION: list[Pitfall] = [
    (always, "the deviation of equal numbers is 0, and it divides by it: eps above 0, or more than one value a group")
]
DEVIATION: list[Pitfall] = [
    (always, "the deviation of a single number is 0/0: unbiased=False, or more numbers"),
]
NEGATIVE_LOG_LIKELIHOOD: list[Pitfall] = [
    (masked, "the target has probability 0: it is masked, or its logit is -inf: leave such targets out"),
    (always, "there is no target, or all have the ignored index, and the mean of none is 0/0: leave such batches out"),
]
SPECTRUM: list[Pitfall] = [
    (always, "its derivative divides by the differences of singular values or eigenvalues: keep them apart")
]
SINGULAR: list[Pitfall] = [(always, "the matrix is singular: add a small number to its diagonal")]
POLE: list[Pitfall] = [(always, "it is infinite at 0 and at negative integers: clamp what goes in above 0")]
NOTHING: list[Pitfall] = [(always, "of nothing it is 0/0: leave out batches in which nothing is selected")]
PITFALLS: dict[str, list[Pitfall]] = {
    "sqrt": [
        (backward, "the derivative of the root is infinite at 0: add a small number inside the root"),
        (
            always,
            "the root of a negative number is NaN: clamp it at 0 (rounding makes a difference of squares negative)",
        ),
    ],
    "rsqrt": [(always, "1 over the root of 0 is infinite: add a small number inside the root")],
    "pow": [
        (backward, "the derivative of a power below 1 is infinite at 0: add a small number to its base"),
        (at_zero, "0 to a negative power is infinite: add a small number to its base"),
        (always, "a broken power of a negative number is NaN: take its magnitude, or clamp it"),
    ],
    **dict.fromkeys(("log", "log2", "log10", "log1p", "logit"), LOGARITHM),
    "xlogy": [(always, "the derivative of x log(x) is infinite at 0: detach the target, or clamp it")],
    **dict.fromkeys(("div", "fmod", "remainder", "addcdiv"), DIVISION),
    "reciprocal": [(always, "a division by 0: add a small number to the divisor, or clamp it")],
    **dict.fromkeys(("acos", "asin", "atanh", "erfinv"), ARC),
    "acosh": [(always, "its derivative is infinite at 1, and below it is not defined: clamp what goes in above it")],
    "hypot": [(backward, "its derivative is 0/0 where both numbers are 0: the root of x^2 + y^2 + 1e-12")],
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh"), OVERFLOW),
    **dict.fromkeys(("softmax", "log_softmax", "logsumexp", "logcumsumexp"), SOFTMAX),
    **dict.fromkeys(("layer_norm", "batch_norm", "group_norm", "rms_norm"), NORMALIZATION),
    **dict.fromkeys(("std", "var", "std_mean", "var_mean"), DEVIATION),
    **dict.fromkeys(("nll_loss", "nll_loss2d", "nll_loss_nd"), NEGATIVE_LOG_LIKELIHOOD),
    **dict.fromkeys(("svd", "eigh", "eig"), SPECTRUM),
    **dict.fromkeys(("inv_ex", "cholesky_ex", "solve_ex", "slogdet", "det", "qr"), SINGULAR),
    **dict.fromkeys(("lgamma", "digamma", "polygamma"), POLE),
    **dict.fromkeys(("mean", "median", "nanmedian"), NOTHING),
    "ctc_loss": [(always, "a target is longer than its output: zero_infinity=True, or leave it out")],
    "weight_norm": [
        (always, "the weight norm of a zero vector is 0/0: start its weights with small numbers, its gain with 0")
    ],
    "mul": [(masked, "0 times infinity is NaN: where(mask, x, 0) in the place of a product with the mask")],
    "sub": [(masked, "infinity minus infinity is NaN: clamp what goes in")],
}
"""By the name of the operation: the first that holds."""
UNDERFLOW = ("div", "reciprocal", "log", "rsqrt")
LARGEST = {torch.float16: "65504", torch.float8_e4m3fn: "448", torch.float8_e5m2: "57344"}


def advice(operation: Operation, hidden_by: str = "") -> str:
    """What to do about an operation that made a number that is not finite. `hidden_by` is the operation that kept it
    from the loss, so that only its derivative did harm.

    >>> from vgexp.watching.tracing.extents import Extent
    >>> advice(Operation(0, "log", "", "", None, torch.float32, [Extent(-1, 1)], Extent(0, 0, nan=True)))[:40]
    'the logarithm of a negative number is Na'
    """
    if hidden_by:
        return (
            f"{hidden_by}() takes the right branch forward, but the other one's derivative is multiplied by 0, "
            f"which is NaN: clamp what goes into {operation.name}, or choose it by an inner where()"
        )
    if operation.fed and not operation.masks:
        return f"{operation.name} is given a number that is not finite: look at where that comes from"
    if operation.masks:
        return "it is put there on purpose, as a mask is, and reaches the loss: leave out what it masks"
    if math.isfinite(operation.exact):
        return _too_large(operation)
    near_one = f"{1 - 4 * torch.finfo(operation.dtype).eps:.7g}"
    found = next((text for holds, text in PITFALLS.get(operation.name, []) if holds(operation)), "")
    found = (
        found.format(near_one=near_one)
        or f"look at what goes into {operation.name}: it is not defined there, or its derivative is not"
    )
    if operation.dtype is torch.float16 and operation.name in UNDERFLOW:
        found += "; float16 rounds what is below 3e-8 to 0, such as an eps of 1e-8"
    return found


def _too_large(operation: Operation) -> str:
    """The advice where float64 has a finite number."""
    name, value = str(operation.dtype).removeprefix("torch."), operation.exact
    largest = LARGEST.get(operation.dtype, f"{torch.finfo(operation.dtype).max:.2g}")
    found = f"{name}: {largest} is the largest number, float64 has {value:.2g} here"
    if operation.dtype in LARGEST and value < torch.finfo(torch.bfloat16).max:
        scale = ", or a smaller scale of the loss" if backward(operation) else ""
        return f"{found}: bfloat16 or float32 there{scale}"
    tips = PITFALLS.get(operation.name)
    if tips is OVERFLOW:
        return f"{found}: {OVERFLOW[0][1]}"
    return f"{found}: smaller weights, normalisation, or smaller steps"
