"""Baydin et al. (2018): by reverse mode a gradient costs a small multiple of the function, however many inputs."""

from vgexp.papers.baydin2018.claims import CLAIMS
from vgexp.papers.baydin2018.figures import FIGURES, TABLES

__all__ = ["CITATION", "CLAIMS", "FIGURES", "INTRO", "TABLES"]

CITATION = "Baydin, Pearlmutter, Radul & Siskind (2018), Automatic Differentiation in Machine Learning: a Survey"
INTRO = (
    "Training steps of tanh networks on digits, products counted exactly; and one small function of 8 inputs (5 "
    "layers of 32 tanh units, float64), differentiated in four ways over 5 seeds."
)
