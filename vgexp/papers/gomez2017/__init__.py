"""Gomez et al. (2017): activations rebuilt instead of stored, and how far that can be trusted.

A block is two layers, one coupling of either half. The error of a rebuilt state is relative to the true one.
"""

from vgexp.papers.gomez2017.claims import CLAIMS
from vgexp.papers.gomez2017.figures import FIGURES

__all__ = ["CITATION", "CLAIMS", "FIGURES", "INTRO"]

CITATION = (
    "Gomez, Ren, Urtasun & Grosse (2017), The Reversible Residual Network: Backpropagation Without Storing Activations"
)
INTRO = (
    "Additive couplings of two halves; a block is two layers. A unit is the memory of one layer's activations. "
    "Branches are r relu(b W + c) with 128 units: He's initialisation with r = 1, LeCun's with r = 1, He's with r = "
    "0.1."
)
