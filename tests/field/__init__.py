"""Sound networks as people build them, at their default initialisation: what verdicts in the field are held against."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import others, pictures, sequences
from .learning import cast, dtype_of
from .mutations import MUTATIONS


class Network(NamedTuple):
    """How a model is made, what it is fed and what it is to do."""

    make: Callable[[], nn.Module]
    draw: Callable[[torch.Generator], tuple[Any, Any]]
    """A fresh batch (inputs, targets) of a problem that can be learned."""
    loss: Callable[[Any, Any], Tensor]
    lr: float = 1e-3
    """A learning rate of Adam at which it learns."""
    momentum: float = 0.9
    """Adam's first beta."""
    score: Callable[[Any, Any], Tensor] | None = None
    """Of outputs and inputs: what falls as it learns, where it is not the loss."""


NETWORKS = {
    "LeNet-5": Network(pictures.lenet5, pictures.labelled(28, 1), F.cross_entropy),
    "AlexNet": Network(pictures.alexnet, pictures.labelled(64), F.cross_entropy),
    "VGG": Network(pictures.vgg, pictures.labelled(32), F.cross_entropy),
    "VGG, batch norm": Network(partial(pictures.vgg, nn.BatchNorm2d), pictures.labelled(32), F.cross_entropy),
    "ResNet-18": Network(pictures.resnet, pictures.labelled(16), F.cross_entropy),
    "DenseNet": Network(pictures.densenet, pictures.labelled(16), F.cross_entropy),
    "MobileNet": Network(pictures.mobilenet, pictures.labelled(32), F.cross_entropy),
    "MLP-Mixer": Network(pictures.Mixer, pictures.labelled(16), F.cross_entropy),
    "ViT": Network(sequences.vit, pictures.labelled(16), sequences.likelihood),
    "U-Net": Network(pictures.Unet, pictures.masks, F.binary_cross_entropy_with_logits),
    "diffusion U-Net": Network(pictures.Diffusion, pictures.noised, F.mse_loss),
    "siamese": Network(pictures.Siamese, pictures.views, pictures.nt_xent),
    "GAN pair": Network(others.Gan, others.wishes, others.adversaries, 2e-3, 0.5, others.unlikeness),
    "VAE": Network(others.Vae, others.digits, others.evidence, 3e-3),
    "BERT": Network(sequences.bert, sequences.topics, sequences.likelihood),
    "GPT-2": Network(sequences.gpt2, sequences.chains, sequences.next_word, 3e-3),
    "Llama": Network(sequences.llama, sequences.chains, sequences.next_word, 3e-3),
    "T5": Network(sequences.T5, sequences.continued, sequences.every_word, 3e-3),
    "BiLSTM": Network(sequences.BiLstm, sequences.topics, F.cross_entropy, 1e-2),
    "GRU seq2seq": Network(sequences.Seq2seq, sequences.translated, sequences.every_word, 1e-2),
    "GCN": Network(sequences.Gcn, sequences.communities, F.cross_entropy, 1e-2),
    "PINN": Network(others.Pinn, others.rod, others.physics, 3e-3),
    "DQN": Network(others.Dqn, others.moves, lambda outputs, _: F.smooth_l1_loss(*outputs)),
    "residual MLP, 50": Network(others.deep, others.flat, F.cross_entropy, 3e-3),
}


def mutated(name: str, mutation: str, seed: int = 0) -> nn.Module | None:
    """A network with a fault in it; None where the fault does not apply."""
    network = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network.make()
        return model if MUTATIONS[mutation](model, network) else None


def batch_for(name: str, model: nn.Module, seed: int = 1) -> tuple[Any, Any]:
    """A batch in the model's own type."""
    return cast(NETWORKS[name].draw(torch.Generator().manual_seed(seed)), dtype_of(model))
