"""Families of deep MLPs with a leading member axis, and everything they are made of.

`vgexp.networks.identity` knows the data sets too; it is imported by name, so that the rest loads none.
"""

from vgexp.networks.activations import ACTIVATIONS, Activation, activation
from vgexp.networks.blueprints import Blueprint, assemble, widths
from vgexp.networks.building import blueprints, build, require_buildable, skeleton, weight_bytes
from vgexp.networks.checkpoint import State, extra_steps, moves, segment_length
from vgexp.networks.families import FAMILIES
from vgexp.networks.family import Family, MeanSquares, Pass
from vgexp.networks.gradients import THIN, Gradient, MatrixGradient
from vgexp.networks.initializers import INITIALIZERS, Initializer, resolved, semi_orthogonal
from vgexp.networks.losses import LOSSES, Loss
from vgexp.networks.lsuv import unit_scale
from vgexp.networks.network import Network
from vgexp.networks.normalizations import NORMS
from vgexp.networks.optimizers import OPTIMIZERS, Sgd, kept_tensors
from vgexp.networks.parts import Key, Matrix, Observer, Part, Update

__all__ = [
    "ACTIVATIONS",
    "FAMILIES",
    "INITIALIZERS",
    "LOSSES",
    "NORMS",
    "OPTIMIZERS",
    "THIN",
    "Activation",
    "Blueprint",
    "Family",
    "Gradient",
    "Initializer",
    "Key",
    "Loss",
    "Matrix",
    "MatrixGradient",
    "MeanSquares",
    "Network",
    "Observer",
    "Part",
    "Pass",
    "Sgd",
    "State",
    "Update",
    "activation",
    "assemble",
    "blueprints",
    "build",
    "extra_steps",
    "kept_tensors",
    "moves",
    "require_buildable",
    "resolved",
    "segment_length",
    "semi_orthogonal",
    "skeleton",
    "unit_scale",
    "weight_bytes",
    "widths",
]
