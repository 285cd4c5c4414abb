"""Families of deep MLPs with a leading member axis, and everything they are made of."""

from vgexp.networks.activations import ACTIVATIONS, Activation, activation
from vgexp.networks.checkpoint import extra_steps, moves, segment_length
from vgexp.networks.initializers import INITIALIZERS, Initializer, weight_variance
from vgexp.networks.layers import Linear, Observer, Update, WeightGradient
from vgexp.networks.losses import LOSSES
from vgexp.networks.models import MODELS, Plain, build, bytes_per_member, skeleton, weight_bytes
from vgexp.networks.optimizers import OPTIMIZERS, Sgd

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LOSSES",
    "MODELS",
    "OPTIMIZERS",
    "Activation",
    "Initializer",
    "Linear",
    "Observer",
    "Plain",
    "Sgd",
    "Update",
    "WeightGradient",
    "activation",
    "build",
    "bytes_per_member",
    "extra_steps",
    "moves",
    "segment_length",
    "skeleton",
    "weight_bytes",
    "weight_variance",
]
