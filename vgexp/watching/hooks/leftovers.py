"""Leftovers: gradients of the step before that nobody cleared, so that those of this step are added to them."""

from collections.abc import Collection, Mapping, Sequence

from torch import Tensor, nn

from vgexp.numerics import total_norm
from vgexp.watching.hooks.layers import Layer


def samples(layers: Sequence[Layer]) -> dict[str, nn.Parameter]:
    """The smallest trainable parameter of each layer: what is done to its gradient is done to those of the others."""
    trainable = {
        layer.name: [p for p in (*layer.module.parameters(recurse=False), *layer.weights) if p.requires_grad]
        for layer in layers
        if not layer.tied
    }
    return {name: min(parameters, key=nn.Parameter.numel) for name, parameters in trainable.items() if parameters}


class Leftovers:
    """What lay in `.grad` when the backward passes of one step began."""

    def __init__(self) -> None:
        self._held: dict[str, bool | Tensor] = {}

    def look(self, parameters: Mapping[str, nn.Parameter]) -> None:
        """Looks at the gradients of parameters as a backward pass begins, without waiting for a device.

        What an earlier pass of this step found cleared has been filled by this step alone. What is found cleared later
        was cleared in time: so are a critic's gradients, which the loss of a generator brought.
        """
        for name, parameter in parameters.items():
            held = parameter.grad is not None and total_norm(parameter.grad) != 0
            self._held[name] = held & self._held.get(name, held)

    def found(self, parameters: Mapping[str, nn.Parameter], fed: Collection[int]) -> list[str]:
        """The names of those with a gradient of an earlier step to which this step added: `fed` has the `id` of all to
        which it brought one."""
        return [name for name, held in self._held.items() if id(parameters[name]) in fed and held]
