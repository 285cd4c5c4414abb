"""Mean-field theory of a network at initialisation: no networks, the same activations, laws and families.

`vgexp.theory.expected` looks at a run's data; it is imported by name, so that the rest loads none.
"""

from vgexp.theory.meanfield import covers, critical_sigma_w, profile
from vgexp.theory.sampled import NoTheory

__all__ = ["NoTheory", "covers", "critical_sigma_w", "profile"]
