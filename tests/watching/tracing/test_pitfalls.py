import math

import pytest
import torch

from vgexp.watching.tracing.extents import Extent
from vgexp.watching.tracing.operations import Operation
from vgexp.watching.tracing.pitfalls import PITFALLS, advice


def operation(name, *inputs, output=None, derives=None, dtype=torch.float32, fed=False, exact=math.nan):
    output = output or Extent(0, 0, nan=True)
    return Operation(0, name, "", "", derives, dtype, list(inputs), output, fed=fed, exact=exact)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (operation("log", Extent(-1, 1)), "negative number"),
        (operation("log", Extent(0, 1)), "logarithm of 0"),
        (operation("sqrt", Extent(-1, 1)), "root of a negative number"),
        (operation("sqrt", derives=operation("sqrt", Extent(0, 1))), "infinite at 0"),
        (operation("pow", Extent(0, 1), Extent(-1, -1)), "negative power"),
        (operation("acos", Extent(0, 1.5)), "not defined above 1"),
        (operation("atanh", Extent(0, 1)), "clamp what goes in to 0.9999995"),
        (operation("atanh", Extent(0, 1), dtype=torch.float16), "clamp what goes in to 0.9960938"),
        (operation("softmax", Extent(0, 1, inf=True)), "masked everywhere"),
        (operation("div", Extent(0, 1), Extent(0, 1)), "division by 0"),
        (operation("div", Extent(0, 1), Extent(0, 1), dtype=torch.float16), "an eps of 1e-8"),
        (
            operation("matmul", exact=1e5, dtype=torch.float16),
            "float16: 65504 is the largest number, float64 has 1e+0",
        ),
        (operation("matmul", exact=1e5, dtype=torch.float16), "bfloat16 or float32 there"),
        (operation("exp", exact=1e43), "3.4e+38 is the largest number, float64 has 1e+43 here: clamp what goes in"),
        (operation("matmul", exact=1e43), "smaller weights"),
        (operation("full", fed=True, output=Extent(0, 0, inf=True)), "on purpose"),
        (operation("mul", fed=True), "mul is given a number that is not finite"),
        (operation("anything", Extent(0, 1)), "look at what goes into anything"),
    ],
)
def test_the_advice_fits_what_went_in(made, words):
    assert words in advice(made)


def test_what_was_hidden_is_said():
    assert advice(operation("exp", Extent(0, 100)), "where").startswith("where() takes the right branch forward")


@pytest.mark.parametrize("name", PITFALLS)
def test_every_pitfall_ends_with_one_that_holds_or_in_general(name):
    assert advice(operation(name, Extent(0, 0), Extent(0, 0)))
    assert "{" not in advice(operation(name, Extent(-2, 2), Extent(0, 0)))
