"""Mean-field theory of a network at initialisation: no networks, the same activations, laws and families.

`vgexp.theory.expected` looks at a run's data; it is imported by name, so that the rest loads none.
"""

from vgexp.theory.depths import Depth, depth_of
from vgexp.theory.meanfield import covers, profile
from vgexp.theory.phases import FixedPoint, Phase, critical_line, fixed_points, phase, scales
from vgexp.theory.sampled import NoTheory
from vgexp.theory.spread import Spread, decades, log_gradient, squared_singular_values

__all__ = [
    "Depth",
    "FixedPoint",
    "NoTheory",
    "Phase",
    "Spread",
    "covers",
    "critical_line",
    "decades",
    "depth_of",
    "fixed_points",
    "log_gradient",
    "phase",
    "profile",
    "scales",
    "squared_singular_values",
]
