"""Chen et al. (2016): memory that grows with the root of the depth, or its logarithm, for one more forward pass.

One unit is the memory of one layer's activations. All counts are exact.
"""

from vgexp.papers.chen2016.claims import CLAIMS
from vgexp.papers.chen2016.figures import FIGURES

__all__ = ["CITATION", "CLAIMS", "FIGURES", "INTRO"]

CITATION = "Chen, Xu, Zhang & Guestrin (2016), Training Deep Nets with Sublinear Memory Cost"
INTRO = (
    "Deep tanh networks of 64 units, batches of 64. A unit is the memory of one layer's activations; live bytes are "
    "what activations and their gradients take at most at one moment of a step, counted storage by storage."
)
