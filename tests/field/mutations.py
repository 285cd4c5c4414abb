"""Faults to put into a network of the field: each changes a model in place, and says whether it could."""

import math

import torch
from torch import nn

from .learning import cast, train


def layers(model):
    """The modules that own a matrix, embeddings aside."""
    own = lambda module: any(p.ndim > 1 for p in module.parameters(recurse=False))
    return [m for m in model.modules() if own(m) and not isinstance(m, nn.Embedding)]


def middle(model):
    """The middle of the list of blocks that holds most of the model, or else the middle layer."""
    count = lambda module: sum(p.numel() for p in module.parameters())
    lists = [m for m in model.modules() if isinstance(m, (nn.ModuleList, nn.Sequential)) and len(m) > 2]
    most = max(lists, key=count, default=model)
    blocks = list(most) if lists and 2 * count(most) > count(model) else layers(model)
    return blocks[len(blocks) // 2]


def scaled(factor):
    def mutate(model, network):
        for layer in layers(model):
            for p in layer.parameters(recurse=False):
                if p.ndim > 1:
                    p.data.mul_(factor)
        return True

    return mutate


def dead_layer(model, network):
    layer = layers(model)[len(layers(model)) // 2]
    for p in layer.parameters(recurse=False):
        p.data.fill_(0.0 if p.ndim > 1 else -1.0)
    return True


def nan_weight(model, network):
    next(layers(model)[len(layers(model)) // 2].parameters()).data.view(-1)[0] = math.nan
    return True


def cut(module, args):
    return (args[0].detach(), *args[1:])


def detached(model, network):
    middle(model).register_forward_pre_hook(cut)
    return True


def frozen_half(model, network):
    parameters = [p for p in model.parameters() if p.requires_grad]
    for p in parameters[: len(parameters) // 2]:
        p.requires_grad_(False)
    return True


def replaced(matches, make):
    """Replaces every module without children whose class has a matching name."""

    def mutate(model, network):
        found = [
            (parent, name)
            for parent in model.modules()
            for name, child in parent.named_children()
            if matches(type(child).__name__) and not list(child.children())
        ]
        for parent, name in found:
            setattr(parent, name, make())
        return bool(found)

    return mutate


def eval_norm(model, network):
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.eval()
    return bool(norms)


def too_fast(model, network):
    train(model, network, torch.optim.SGD(model.parameters(), 1000 * network.lr, momentum=0.9), 20)
    return True


def half(model, network):
    cast(model, torch.float16)
    return True


ACTIVATIONS = (
    "ReLU",
    "ReLU6",
    "LeakyReLU",
    "GELU",
    "SiLU",
    "Tanh",
    "GELUActivation",
    "NewGELUActivation",
    "SiLUActivation",
)
MUTATIONS = {
    "sound": lambda model, network: True,
    "weights x 0.1": scaled(0.1),
    "weights x 10": scaled(10.0),
    "dead layer": dead_layer,
    "detach": detached,
    "frozen half": frozen_half,
    "sigmoid": replaced(lambda name: name in ACTIVATIONS, nn.Sigmoid),
    "no norm": replaced(lambda name: "Norm" in name, nn.Identity),
    "norm in eval": eval_norm,
    "lr x 1000": too_fast,
    "NaN weight": nan_weight,
    "float16": half,
}
"""By name: `mutate(model, network)` returns False where it does not apply."""
LATE = ("lr x 1000", "NaN weight", "float16")
"""Faults of training, or that end it: a trained network gets them after its training."""
