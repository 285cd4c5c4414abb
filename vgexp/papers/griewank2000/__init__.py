"""Griewank & Walther (2000): the fewest recomputed steps for a given number of snapshots."""

from vgexp.papers.griewank2000.claims import CLAIMS
from vgexp.papers.griewank2000.figures import FIGURES

__all__ = ["CITATION", "CLAIMS", "FIGURES", "INTRO"]

CITATION = "Griewank & Walther (2000), Algorithm 799: revolve, an Implementation of Checkpointing for the Reverse Mode"
INTRO = (
    "A chain of n layers is reversed with s snapshots of its state, the input among them. All hidden layers are 64 x "
    "64 with batches of 64, so that one forward step is one product of 2 x 64³ FLOPs, and steps can be counted in "
    "FLOPs."
)
