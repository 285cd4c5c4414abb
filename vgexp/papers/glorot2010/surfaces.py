"""Cost surfaces of the smallest deep network: p = sigmoid(w2 tanh(w1 x)), one weight a layer.

Glorot & Bengio (2010), figure 5: the quadratic cost has larger plateaus than cross-entropy. The paper does not say what
its random input and target were; the heights at its corners are those of a logistic output.

Legend: G points of a grid along w1 (columns) and w2 (rows).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit

from vgexp.figures import COLORS, Picture, legend, panels
from vgexp.results import Results, estimate

REACH = 4.0
POINTS = 161
FLAT = 0.01
"""A point lies on a plateau where the gradient is below this fraction of its largest."""
DRAWS = 20
COSTS = ("cross_entropy", "quadratic")
COARSE = 4
"""Points of the grid of surfaces between two that figure 5 shows."""


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


def surface_frame() -> pd.DataFrame:
    """`group w1 w2 value`: the two costs over the square, at every fourth point of the grid."""
    example = Example(1.0, 0)
    w1_GG, w2_GG = (axis[::COARSE, ::COARSE] for axis in grid())
    parts = []
    for cost in COSTS:
        columns = {"w1": w1_GG, "w2": w2_GG, "value": height(cost, w1_GG, w2_GG, example)}
        one = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
        parts.append(one.assign(group=cost.replace("_", "-")))
    return pd.concat(parts, ignore_index=True)


def figure5(results: Results) -> Picture:
    """The two cost surfaces."""
    frame = surface_frame()
    with panels(1, 1, size=(4.4, 3.6)) as (figure, axes):
        axes[0, 0].remove()
        ticks = (-REACH, 0, REACH)  # more would run into each other
        ax = figure.add_subplot(projection="3d")
        for color, (cost, rows) in zip(COLORS, frame.groupby("group", sort=False), strict=False):
            heights = rows.pivot(index="w2", columns="w1", values="value")
            x, y = np.meshgrid(heights.columns, heights.index)
            ax.plot_wireframe(x, y, heights.to_numpy(), rstride=2, cstride=2, color=color, linewidth=0.6)
            ax.plot([], [], color=color, label=cost)
        ax.set(xlabel="$w_1$", ylabel="$w_2$", zlabel="cost", xticks=ticks, yticks=ticks)
        ax.view_init(22, -50)
        ax.set_box_aspect(None, zoom=0.85)  # pyright: ignore[reportArgumentType] the stub says int
        legend(figure, ax)
    shares = {cost: estimate([plateau(cost, one) for one in examples()]) for cost in COSTS}
    return Picture(
        figure,
        "Figure 5 of the paper: cost of a network of two weights, tanh below and a logistic unit above, for input 1 "
        f"and target 0. Share of the square with a gradient below 1 % of its largest, over {DRAWS} random "
        f"inputs: cross-entropy {shares['cross_entropy']:.2f}, quadratic {shares['quadratic']:.2f}.",
        frame,
    )
