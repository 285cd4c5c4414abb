"""Layers: the modules of a model that own weights, and the tensors that modules put out."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)


@dataclass(eq=False)
class Layer:
    """A module that owns a parameter of two or more dimensions. `name` is the first under which the model has it."""

    name: str
    module: nn.Module
    weights: list[nn.Parameter] = field(repr=False)
    tied: str = ""
    """The layer that came first and has the same weights."""

    @property
    def frozen(self) -> bool:
        """Whether none of its weights requires a gradient."""
        return not any([weight.requires_grad for weight in self.weights])

    @property
    def kind(self) -> str:
        """The module's class."""
        return type(self.module).__name__

    @property
    def fan_in(self) -> int:
        """Inputs of one unit, where a layer is of the kind for which theory has a scale; else 0. The parameters of a
        parametrization are not the weights."""
        weight = dict(self.module.named_parameters(recurse=False)).get("weight")
        if not isinstance(self.module, (nn.Linear, *CONVOLUTIONS)) or weight is None or weight.ndim < 2:
            return 0
        if isinstance(self.module, TRANSPOSED):  # (inputs, outputs, ...); a stride spreads the inputs out
            return weight[:, 0].numel() // (self.module.groups * prod(self.module.stride))
        return weight[0].numel()

    def unit_axis(self, axes: int) -> int:
        """The axis along which its units lie in a tensor of so many axes: 1 (channels) for convolutions, else the
        last."""
        return 1 if isinstance(self.module, CONVOLUTIONS) and axes > 2 else axes - 1


def weights(module: nn.Module) -> list[nn.Parameter]:
    """A module's own parameters of two or more dimensions, including those of its parametrizations."""
    own = list(module.parameters(recurse=False))
    if is_parametrized(module):
        assert isinstance(module.parametrizations, nn.ModuleDict)
        own += list(module.parametrizations.parameters())
    return [p for p in own if isinstance(p, nn.UninitializedParameter) or p.ndim > 1]


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers of a model in the order in which it registers them."""
    found: list[Layer] = []
    owner: dict[nn.Parameter, str] = {}
    for name, module in bare(model).named_modules():
        if ".parametrizations." in f".{name}." or not (own := weights(module)):
            continue
        name = name or type(module).__name__
        tied = {owner.setdefault(weight, name) for weight in own}
        found.append(Layer(name, module, own, "" if name in tied else tied.pop()))
    return found


def bare(model: nn.Module) -> nn.Module:
    """The model that a wrapper has as its only child, `module`, as DistributedDataParallel has: names are those from
    before it was distributed."""
    children = dict(model.named_children())
    return children["module"] if [*children] == ["module"] and not [*model.parameters(recurse=False)] else model


def names_of(parameters: Mapping[str, nn.Parameter], wanted: Collection[int]) -> list[str]:
    """The names of those parameters whose `id` is wanted; those of one module as its name, if all that it has are."""
    others = {owner(name) for name, parameter in parameters.items() if id(parameter) not in wanted} | {""}
    found = [name for name, parameter in parameters.items() if id(parameter) in wanted]
    return list(dict.fromkeys(name if owner(name) in others else owner(name) for name in found))


def owner(parameter: str) -> str:
    """The name of the module that has a parameter of this name; empty for the model itself."""
    return parameter.rpartition(".")[0]


def tensors(output: Any) -> Iterator[Tensor]:
    """The floating-point tensors in what a module puts out, in order."""
    return (x for x in every_tensor(output) if x.is_floating_point() or x.is_complex())


def every_tensor(values: Any) -> Iterator[Tensor]:
    """The tensors in nested values, in order: through tuples, lists, dicts and dataclasses."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from every_tensor(value)
    elif isinstance(values, list | tuple):
        for value in values:
            yield from every_tensor(value)
    elif is_dataclass(values):
        for item in fields(values):
            yield from every_tensor(getattr(values, item.name, None))
