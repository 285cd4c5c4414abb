"""Evaluation of a stack on the held-out sets.

Legend: M members, K examples, I inputs, C outputs.
"""

import torch
from torch import Tensor

from vgexp.costs import EVALUATED_AT_ONCE
from vgexp.networks import LOSSES
from vgexp.training.stack import Stack


@torch.no_grad()
def evaluate(stack: Stack) -> dict[str, Tensor]:
    """Loss and error rate (M,) on the validation and the test set; with cotangents the error alone."""
    measured = {}
    members, loss = len(stack.runs), stack.run.loss
    for name, (x_1KI, y_1K) in (("valid", stack.stream.valid()), ("test", stack.stream.test())):
        losses, errors = [], []
        for x, y in zip(x_1KI.split(EVALUATED_AT_ONCE, 1), y_1K.split(EVALUATED_AT_ONCE, 1), strict=True):
            z_MKC = stack.network(x.expand(members, -1, -1), statistics=stack.network.running())
            y_MK = y.expand(members, -1)
            errors.append(error(z_MKC, y_MK) * y.shape[1])
            if loss != "cotangent":
                losses.append(LOSSES[loss](z_MKC, y_MK).sum(1))
        if losses:
            measured[f"{name}_loss"] = torch.stack(losses).sum(0) / y_1K.shape[1]
        measured[f"{name}_error"] = torch.stack(errors).sum(0) / y_1K.shape[1]
    return measured


def error(z_MBC: Tensor, y_MB: Tensor) -> Tensor:
    """Fraction of examples whose largest output is not the target's, (M,)."""
    return (z_MBC.argmax(-1) != y_MB).mean(1, dtype=torch.float64)
