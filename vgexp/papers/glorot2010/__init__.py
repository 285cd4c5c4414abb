"""Glorot & Bengio (2010): why standard initialisation starves the lower layers, and what the normalized one mends."""

from vgexp.papers.glorot2010.claims import CLAIMS
from vgexp.papers.glorot2010.figures import FIGURES
from vgexp.papers.glorot2010.tables import TABLES

__all__ = ["CITATION", "CLAIMS", "FIGURES", "INTRO", "TABLES"]

TITLE = "Understanding the difficulty of training deep feedforward neural networks"
CITATION = f"Glorot & Bengio (2010), {TITLE}"
INTRO = (
    "Hidden layers of 1000 units, biases 0, plain SGD with batches of 10; pixels in [-1, 1] at initialisation and in "
    "[0, 1] in training, unless a panel says otherwise: the paper gives no range. N is normalized initialisation (eq."
    " 16), here applied to every matrix; in the published plots both end matrices seem to be standard. An epoch is "
    "20,000 updates, 200,000 examples. Hollow marks are read off the paper's plots. Small-ImageNet, the right half of"
    " figure 1 and a column of table 1, was never published."
)
