"""Glorot & Bengio (2010): why standard initialisation starves the lower layers, and what the normalized one mends.

One function a figure, with the paper's panels and axes; hollow marks are values read off its plots (about +-0.02 for
activations, +-1 point for errors). An epoch is 20,000 updates of 10 examples.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vgexp.claims import Grid, Missing, first_step
from vgexp.data import shapeset
from vgexp.figures import (
    COLORS,
    MARKERS,
    Picture,
    bins,
    curve_picture,
    draw_densities,
    heatmap_picture,
    histogram_picture,
    histories,
    label_panel,
    legend,
    panels,
    profile_picture,
    speed_picture,
)
from vgexp.numerics import generator
from vgexp.papers.glorot2010 import claims as claims
from vgexp.papers.glorot2010 import surfaces
from vgexp.papers.glorot2010.claims import ROWS, SIGMOID_4, SOFTSIGN, TANH, TANH_N
from vgexp.results import Results, estimate, label, short

PAPER_MEANS: histories.Readings = {2: (0.50, 0.53, 0.65, 0.13), 5: (0.50, 0.54, 0.69, 0.06)}
"""Figure 2: epoch -> mean activation of layers 1..4."""
PAPER_P98 = {
    "Tanh": {0: (0.71, 0.43, 0.24, 0.14, 0.07), 4: (1.0,)},
    "Softsign": {0: (0.48, 0.24, 0.13), 4: (0.75, 0.58, 0.55, 0.61, 0.44)},
    "Tanh N": {0: (0.71,) * 5, 4: (1.0,) * 5},
}
"""Figures 3 and 10: epoch -> 98th percentile of layers 1.. ."""
PAPER_DW = {
    "Tanh": {0: (0.004,) * 5, 3: (0.034, None, None, None, 0.006)},
    "Tanh N": {0: (0.031, 0.016, 0.016, 0.016, 0.016)},
}
"""Figure 9: epoch -> standard deviation of the weight gradients of layers 1..5."""
PAPER_ERRORS = {"Softsign": 46, "Softsign N": 66, "Tanh": 68, "Tanh N": 55, "Sigmoid": 83.4, "Sigmoid, 4 layers": 83.4}
"""Figure 11 at 1e6 examples: test error in per cent."""
OTHER = {name: Grid(f"other_{row.name}") for name, row in ROWS.items()}
"""The rows of table 1 in the pixel range that was not chosen."""


def profiles(results: Results) -> Picture:
    """Activations and gradients over the layers at initialisation, theory as lines."""
    runs = [run for name in ("initial", "sigmoid") for run in results.grids.get(name, [])]
    if results.select(runs).layers.empty:
        raise Missing("no finished runs in the grid initial")
    return profile_picture(results.select(runs))


def figure1(results: Results) -> Picture:
    """Fifty images of the training stream."""
    x_KI, _ = shapeset.images(50, generator("batches", 0, 0))
    side = shapeset.SIDE
    grid = x_KI.view(5, 10, side, side).permute(0, 2, 1, 3).reshape(5 * side, 10 * side)
    with panels(1, 1, size=(5.2, 2.7)) as (figure, axes):
        axes[0, 0].imshow(grid, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes[0, 0].set_axis_off()
    return Picture(
        figure,
        "Figure 1 of the paper, left: Shapeset-3x2, 50 images as the networks see them, 32 x 32 (the paper prints 64 "
        "x 64). The right half, Small-ImageNet, cannot be obtained.",
    )


def figure2(results: Results) -> Picture:
    """Mean and standard deviation of the activations of four sigmoid layers in training."""
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        seeds = histories.means(axes[0, 0], SIGMOID_4, results, read=PAPER_MEANS)
        histories.epochs(axes[0, 0], axes[0, 0])
        legend(figure, axes[0, 0])
    return Picture(
        figure,
        "Figure 2 of the paper: four sigmoid layers on Shapeset, mean activation with bars of one standard deviation "
        f"over units and 300 test examples ({seeds}); the paper goes on to epoch 140. The top layer is pushed to 0 "
        "within the first thousands of updates, and those below order themselves above ½.",
    )


def figure2_digits(results: Results) -> Picture:
    """Ours: the whole story of figure 2 on a small network, and five layers as the contrast."""
    with panels(1, 2, sharey=True, size=(6, 2.9)) as (figure, axes):
        for ax, depth in zip(axes[0], (4, 5), strict=True):
            grid = Grid("escape", {"model.depth": depth})
            histories.means(ax, grid, results, seed=1, shades=5)
            escapes = np.isfinite(first_step(grid.steps(results, "valid_loss") < claims.ESCAPED))
            label_panel(ax, f"{depth} layers: {int(escapes.sum())} of {escapes.size} seeds escape", above=0.3)
            histories.epochs(ax, ax)
        axes[0, 1].set_ylabel("")
        legend(figure, axes[0, 1])
        lr = float(claims.ESCAPE.runs(results, "optim.lr")[0])
    return Picture(
        figure,
        f"Beside figure 2, ours: digits, 100 units a layer, learning rate {lr:g}, mean activation with bars of one "
        "standard deviation (1 seed). With four layers the top one leaves saturation by itself, then layer 1 begins "
        "to saturate (its bars grow); with five it does not in as many updates. At width 1000 the paper needs 0.7 to "
        "2 million.",
    )


def stacked(
    rows: Mapping[str, Grid], draw_row: Callable[..., str], read: Mapping[str, Any], results: Results, caption: str
) -> Picture:
    """Panels one above the other over training, one a network."""
    with panels(len(rows), 1, sharex=True, sharey=True, size=(4.4, 2.3 * len(rows) + 0.7)) as (figure, axes):
        seeds = ""
        for ax, (name, grid) in zip(axes[:, 0], rows.items(), strict=True):
            seeds = draw_row(ax, grid, results, read=read.get(name))
            label_panel(ax, name, above=0.02 if ax is not axes[0, 0] else 0.26)
        histories.epochs(axes[-1, 0], axes[0, 0])
        legend(figure, axes[0, 0])
    return Picture(figure, f"{caption} Means over {seeds}.")


def figure3(results: Results) -> Picture:
    """98th percentiles and standard deviations of activations in training, standard initialisation."""
    return stacked(
        {"Tanh": TANH, "Softsign": SOFTSIGN},
        histories.percentiles,
        PAPER_P98,
        results,
        "Figure 3 of the paper: activations in training under standard initialisation, tanh above, softsign below. "
        "Marks: 98th percentile and its mirror, the 2nd; lines: plus and minus one standard deviation. Tanh layers "
        "saturate one after the other from the bottom, softsign layers move together and stay below 1.",
    )


def figure4(results: Results) -> Picture:
    """Densities of the activations at the end of training, standard initialisation."""
    with panels(2, 1, sharex=True, sharey=True, size=(4.4, 4.6)) as (figure, axes):
        for ax, (name, grid) in zip(axes[:, 0], {"Tanh": TANH, "Softsign": SOFTSIGN}.items(), strict=True):
            runs = grid.table(results)
            last = int(runs["steps"].max())
            draw_densities(ax, bins(results, runs.iloc[0], "h", last))
            label_panel(ax, f"{name}, after {last:,} updates")
            ax.set(xlim=(-1, 1), ylim=(0, 3), ylabel="density")
        axes[1, 0].set_xlabel(label("h"))
        legend(figure, axes[0, 0])
    return Picture(
        figure,
        "Figure 4 of the paper: activations after training under standard initialisation, 300 test examples, 1 seed. "
        "The paper shows 1.9 million updates: spikes of tanh at ±1, softsign at the knees, 0.5 to 0.8; here only "
        "layer 1 has begun.",
    )


def figure5(results: Results) -> Picture:
    """The two cost surfaces."""
    example = surfaces.Example(1.0, 0)
    with panels(1, 1, size=(4.4, 3.6)) as (figure, axes):
        axes[0, 0].remove()
        ax = figure.add_subplot(projection="3d")
        for cost, color in zip(surfaces.COSTS, COLORS, strict=False):
            heights = surfaces.height(cost, *surfaces.grid(), example)
            ax.plot_wireframe(*surfaces.grid(), heights, rstride=8, cstride=8, color=color, linewidth=0.6)
            ax.plot([], [], color=color, label=cost.replace("_", "-"))
        ax.set(xlabel="$w_1$", ylabel="$w_2$", zlabel="cost")
        ax.view_init(22, -50)
        ax.set_box_aspect(None, zoom=0.85)  # pyright: ignore[reportArgumentType] the stub says int
        legend(figure, ax)
    shares = {cost: estimate([surfaces.plateau(cost, one) for one in surfaces.examples()]) for cost in surfaces.COSTS}
    return Picture(
        figure,
        "Figure 5 of the paper: cost of a network of two weights, tanh below and a logistic unit above, for input 1 "
        f"and target 0. Share of the square with a gradient below 1 % of its largest, over {surfaces.DRAWS} random "
        f"inputs: cross-entropy {shares['cross_entropy']:.2f}, quadratic {shares['quadratic']:.2f}.",
    )


def at_start(quantity: str, number: int, said: str) -> Callable[[Results], Picture]:
    """Figures 6, 7, 8: densities at initialisation, standard above, normalized below."""

    def figure(results: Results) -> Picture:
        initial = results.grid("initial")
        if initial.histograms.empty:
            raise Missing("no histograms in the grid initial")
        drawn = histogram_picture(initial, quantity, names=["standard", "glorot"]).figure
        return Picture(
            drawn,
            f"Figure {number} of the paper: {label(quantity)} at initialisation, tanh, 300 test examples, 1 seed; "
            f"standard above, normalized below. In the paper, {said}.",
        )

    return figure


def figure9(results: Results) -> Picture:
    """Standard deviation of the weight gradients in training."""
    return stacked(
        {"Tanh": TANH, "Tanh N": TANH_N},
        histories.deviations,
        PAPER_DW,
        results,
        "Figure 9 of the paper: plus and minus the standard deviation of a batch's weight gradients in training "
        "(running mean of 5 observations), standard above, normalized below. They come to differ by layer, more "
        "under standard. Absolute scales depend on how the batch is averaged, which the paper does not say.",
    )


def figure10(results: Results) -> Picture:
    """Figure 3 for tanh with normalized initialisation."""
    return stacked(
        {"Tanh N": TANH_N},
        histories.percentiles,
        PAPER_P98,
        results,
        "Figure 10 of the paper: as figure 3, tanh with normalized initialisation. All layers saturate, and together.",
    )


def figure11(results: Results) -> Picture:
    """Test error over examples seen, Shapeset, in one or both pixel ranges."""
    sets = [rows for rows in ({**ROWS, "Sigmoid, 4 layers": SIGMOID_4}, OTHER) if _pixels(rows, results)]
    if not sets:
        raise Missing("no finished runs in the grids of table 1")
    with panels(1, len(sets), sharey=True, size=(3.6 * len(sets), 3.2)) as (figure, axes):
        for ax, rows in zip(axes[0], sets, strict=True):
            histories.errors(ax, rows, results)
            for number, value in enumerate(PAPER_ERRORS.values()):
                ax.plot([1.0], [value], MARKERS[number], color=COLORS[number], mfc="none", ms=5)
            label_panel(ax, f"pixels in {_pixels(rows, results)}")
            ax.set_ylabel("test error (%)" if ax is axes[0, 0] else "")
        legend(figure, axes[0, 0], columns=2 if len(sets) == 1 else 3)
    return Picture(
        figure,
        "Figure 11 of the paper: test error on Shapeset (10,000 images) as it is learned; line: mean over seeds, "
        "band: their range; hollow marks: the paper's curves at a million examples, 100,000 updates, 5 epochs."
        + (
            " Left the pixel range that comes closer to the paper, right the other one (1 seed)."
            if len(sets) > 1
            else ""
        ),
    )


def figure12(results: Results) -> Picture:
    """Test error over examples seen, MNIST and CIFAR-10."""
    with panels(1, 2) as (figure, axes):
        found = []
        for ax, data in zip(axes[0], ("mnist", "cifar10"), strict=True):
            found += histories.errors(ax, {name: claims.finite(data, name) for name in ROWS}, results)
            label_panel(ax, data)
        if not found:
            raise Missing(results.left_out.get("mnist_tanh", "no finished runs on mnist or cifar10"))
        legend(figure, axes[0, 0])
    return Picture(figure, "Figure 12 of the paper: test error on MNIST and CIFAR-10, mean and range over seeds.")


def _pixels(rows: Mapping[str, Grid], results: Results) -> str:
    """The pixel ranges of the rows that there are; empty where there are none."""
    found = set()
    for grid in rows.values():
        with contextlib.suppress(Missing):
            found.add(short(grid.table(results)["data.range"].iloc[0]))
    return ", ".join(sorted(found))


def _grid_figure(function: Callable[[Results], Picture]) -> Callable[[Results], Picture]:
    """A figure of the short training, of smoke scale."""

    def figure(results: Results) -> Picture:
        training = results.grid("training")
        if training.layers.empty:
            raise Missing("no finished runs in the grid training (smoke)")
        return function(training)

    return figure


FIGURES: Mapping[str, Callable[[Results], Picture]] = {
    "profiles": profiles,
    "figure1": figure1,
    "figure2": figure2,
    "figure2_digits": figure2_digits,
    "figure3": figure3,
    "figure4": figure4,
    "figure5": figure5,
    "figure6": at_start(
        "h", 6, "standard activations crowd around 0 in the upper layers, normalized ones keep their width"
    ),
    "figure7": at_start("dz", 7, "standard gradients crowd around 0 in the lower layers, normalized ones overlap"),
    "figure8": at_start("dw", 8, "all layers overlap under both, and normalized gradients are several times larger"),
    "figure9": figure9,
    "figure10": figure10,
    "figure11": figure11,
    "figure12": figure12,
    "training": _grid_figure(curve_picture),
    "heatmap": _grid_figure(heatmap_picture),
    "speeds": _grid_figure(speed_picture),
}
