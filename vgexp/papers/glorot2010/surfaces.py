"""Cost surfaces of the smallest deep network: p = sigmoid(w2 tanh(w1 x)), one weight a layer.

Glorot & Bengio (2010), figure 5: the quadratic cost has larger plateaus than cross-entropy. The paper does not say what
its random input and target were; the heights at its corners are those of a logistic output.

Legend: G points of a grid along w1 (columns) and w2 (rows).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

REACH = 4.0
POINTS = 161
FLAT = 0.01
"""A point lies on a plateau where the gradient is below this fraction of its largest."""
DRAWS = 20
COSTS = ("cross_entropy", "quadratic")


class Example(NamedTuple):
    """An input and its target, 0 or 1."""

    x: float
    target: int


def examples() -> list[Example]:
    """Standard normal inputs with fair targets, always the same ones."""
    draw = np.random.default_rng(0)
    return [Example(float(draw.standard_normal()), int(draw.integers(2))) for _ in range(DRAWS)]


def grid() -> tuple[np.ndarray, np.ndarray]:
    """The square [-4, 4] x [-4, 4] of w1 and w2, each (G, G)."""
    axis = np.linspace(-REACH, REACH, POINTS)
    w1_GG, w2_GG = np.meshgrid(axis, axis)
    return w1_GG, w2_GG


def height(cost: str, w1: np.ndarray, w2: np.ndarray, example: Example) -> np.ndarray:
    """-log p(target), or (p - target)^2 / 2."""
    z = w2 * np.tanh(w1 * example.x)
    if cost == "cross_entropy":
        return -log_expit(z if example.target else -z)
    return (expit(z) - example.target) ** 2 / 2


def gradient(cost: str, w1: np.ndarray, w2: np.ndarray, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives by w1 and w2: dz = p - target for cross-entropy, (p - target) p (1 - p) for the quadratic cost."""
    h = np.tanh(w1 * example.x)
    p = expit(w2 * h)
    dz = p - example.target
    if cost == "quadratic":
        dz = dz * p * (1 - p)
    return dz * w2 * (1 - h**2) * example.x, dz * h


def plateau(cost: str, example: Example) -> float:
    """Share of the square on which the gradient is below 1 % of its largest."""
    norm_GG = np.hypot(*gradient(cost, *grid(), example))
    return float((norm_GG < FLAT * norm_GG.max()).mean())
