"""Glorot & Bengio (2010): why standard initialisation starves the lower layers, and what the normalized one mends.

One function a figure, with the paper's panels and axes; hollow marks are values read off its plots (about +-0.02 for
activations, +-1 point for errors). An epoch is 20,000 updates of 10 examples.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vgexp.claims import Grid, Missing, first_step, judged
from vgexp.data import shapeset
from vgexp.figures import (
    Picture,
    bins,
    curve_picture,
    densities,
    draw_densities,
    draw_histograms,
    heatmap_picture,
    histogram_frame,
    label_panel,
    legend,
    panels,
    profile_picture,
    seeds_in,
    speed_picture,
)
from vgexp.numerics import generator
from vgexp.papers.glorot2010 import errors, histories, surfaces
from vgexp.papers.glorot2010.claims import CLAIMS
from vgexp.papers.glorot2010.measures import ESCAPE, ESCAPED, SIGMOID_4, SOFTSIGN, TANH, TANH_N
from vgexp.results import Results, label

PAPER_MEANS: histories.Readings = {
    2: (0.50, 0.53, 0.65, 0.13),
    5: (0.50, 0.54, 0.69, 0.06),
    20: (0.51, 0.56, 0.75, 0.02),
}
"""Figure 2: epoch -> mean activation of layers 1..4."""
PAPER_P98: dict[str, histories.Readings] = {
    "Tanh": {0: (0.71, 0.43, 0.24, 0.14, 0.07), 4: (1.0,), 16: (None, 0.95)},
    "Softsign": {0: (0.48, 0.24, 0.13), 4: (0.75, 0.58, 0.55, 0.61, 0.44)},
    "Tanh N": {0: (0.71,) * 5, 4: (1.0,) * 5},
}
"""Figures 3 and 10: epoch -> 98th percentile of layers 1.. ."""
PAPER_DW: dict[str, histories.Readings] = {
    "Tanh": {0: (0.004,) * 5, 3: (0.034, None, None, None, 0.006)},
    "Tanh N": {0: (0.031, 0.016, 0.016, 0.016, 0.016)},
}
"""Figure 9: epoch -> standard deviation of the weight gradients of layers 1..5."""


def profiles(results: Results) -> Picture:
    """Activations and gradients over the layers at initialisation, theory as lines."""
    runs = [run for name in ("initial", "sigmoid") for run in results.grids.get(name, [])]
    if results.select(runs).layers.empty:
        raise Missing("no finished runs in the grid initial")
    return profile_picture(results.select(runs))


def image_frame(images: int) -> pd.DataFrame:
    """`image row column value`: a row a pixel of the first images of the training stream."""
    x_KI, _ = shapeset.images(images, generator("batches", 0, 0))
    names = ["image", "row", "column"]
    pixels = pd.MultiIndex.from_product([range(images), *[range(shapeset.SIDE)] * 2], names=names)
    return pd.DataFrame({"value": x_KI.numpy().ravel()}, index=pixels).reset_index()


def figure1(results: Results) -> Picture:
    """Fifty images of the training stream."""
    frame = image_frame(50)
    values = frame["value"].to_numpy().reshape(5, 10, shapeset.SIDE, shapeset.SIDE)
    with panels(1, 1, size=(5.2, 2.7)) as (figure, axes):
        sheet = np.block([list(line) for line in values])
        axes[0, 0].imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes[0, 0].set_axis_off()
    return Picture(
        figure,
        "Figure 1 of the paper, left: Shapeset-3x2, 50 images as the networks see them, 32 x 32 (the paper prints 64 "
        "x 64). The right half, Small-ImageNet, cannot be obtained.",
        frame,
    )


def figure2(results: Results) -> Picture:
    """Mean and standard deviation of the activations of four sigmoid layers in training."""
    frame = histories.mean_frame("Sigmoid, 4 layers", SIGMOID_4, results, PAPER_MEANS)
    with panels(1, 1, size=(4.4, 3)) as (figure, axes):
        histories.draw_means(axes[0, 0], frame)
        histories.label_epochs(axes[0, 0], axes[0, 0])
        legend(figure, axes[0, 0])
    return Picture(
        figure,
        "Figure 2 of the paper: four sigmoid layers on Shapeset, mean activation with bars of one standard deviation "
        f"over units and 300 test examples ({seeds_in(frame)}); the paper goes on to epoch 140.",
        frame,
    )


def figure2_digits(results: Results) -> Picture:
    """Our own: four layers that leave saturation as in figure 2, on a small network, and five that do not."""
    parts = []
    for depth in (4, 5):
        grid = Grid("escape", {"model.depth": depth})
        escapes = np.isfinite(first_step(grid.steps(results, "valid_loss") < ESCAPED))
        group = f"{depth} layers: {int(escapes.sum())} of {escapes.size} seeds escape"
        parts.append(histories.mean_frame(group, grid, results, {}, seed=1))
    frame = pd.concat(parts, ignore_index=True).assign(seed=1)
    with panels(1, 2, sharey=True, size=(6, 2.9)) as (figure, axes):
        for ax, (group, rows) in zip(axes[0], frame.groupby("group", sort=False), strict=True):
            histories.draw_means(ax, rows, shades=5)
            label_panel(ax, str(group))
            histories.label_updates(ax)
        axes[0, 1].set_ylabel("")
        legend(figure, axes[0, 1])
    lr = float(ESCAPE.runs(results, "optim.lr")[0])
    return Picture(
        figure,
        f"Our own, beside figure 2: digits, 100 units a layer, learning rate {lr:g}, mean activation with bars of one "
        "standard deviation (1 seed). With four layers the top one leaves saturation by itself, then layer 1 begins "
        "to saturate (its bars grow); with five it does not within the same number of updates. At width 1000 "
        "the paper needs 0.7 to 2 million updates.",
        frame,
    )


def verdicts(results: Results, *names: str) -> str:
    """What the measurements say of these claims: captions describe what is drawn and leave the judgement to them."""
    asked = [claim for claim in CLAIMS if claim.name in names]
    return judged(asked, results, results.folders[0].resolve().name if results.folders else "")


def draw_stacked(frame: pd.DataFrame, draw: Callable[[Axes, pd.DataFrame], None]) -> Figure:
    """Panels one above the other over training, one a network."""
    networks = frame.groupby("group", sort=False)
    with panels(len(networks), 1, sharex=True, sharey=True, size=(4.4, 2.3 * len(networks) + 0.7)) as (figure, axes):
        for ax, (name, rows) in zip(axes[:, 0], networks, strict=True):
            draw(ax, rows)
            label_panel(ax, str(name), above=0.02 if ax is not axes[0, 0] else 0.26)
        histories.label_epochs(axes[-1, 0], axes[0, 0])
        legend(figure, axes[0, 0])
    return figure


def percentiles(networks: Mapping[str, Grid], results: Results, caption: str, *names: str) -> Picture:
    """Percentiles and standard deviations of activations in training, a panel a network; `names`: claims about them."""
    parts = [histories.percentile_frame(name, grid, results, PAPER_P98[name]) for name, grid in networks.items()]
    frame = pd.concat(parts, ignore_index=True)
    figure = draw_stacked(frame, histories.draw_percentiles)
    return Picture(figure, f"{caption} Means over {seeds_in(frame)}. {verdicts(results, *names)}", frame)


def figure3(results: Results) -> Picture:
    """98th percentiles and standard deviations of activations in training, standard initialisation."""
    return percentiles(
        {"Tanh": TANH, "Softsign": SOFTSIGN},
        results,
        "Figure 3 of the paper: activations in training under standard initialisation, tanh above, softsign below. "
        "Marks: 98th percentile and its mirror, the 2nd; lines: plus and minus one standard deviation.",
        "GB-16",
        "GB-17",
    )


def figure4(results: Results) -> Picture:
    """Densities of the activations at the end of training, standard initialisation."""
    parts = []
    for name, grid in {"Tanh": TANH, "Softsign": SOFTSIGN}.items():
        runs = grid.table(results)
        last, rows = int(runs["steps"].max()), densities(results, "h")
        rows = rows[(rows["step"] == last) & (rows["run"] == runs["run"].iloc[0])]
        if rows.empty:
            raise Missing(f"no densities of h at step {last}")
        parts.append(bins(rows, runs.iloc[0]).assign(group=f"{name}, after {last:,} updates"))
    frame = pd.concat(parts, ignore_index=True)
    with panels(2, 1, sharex=True, sharey=True, size=(4.4, 4.6)) as (figure, axes):
        for ax, (name, rows) in zip(axes[:, 0], frame.groupby("group", sort=False), strict=True):
            draw_densities(ax, rows)
            label_panel(ax, str(name))
            ax.set(xlim=(-1, 1), ylim=(0, 3), ylabel="density")
        axes[1, 0].set_xlabel(label("h"))
        legend(figure, axes[0, 0])
    return Picture(
        figure,
        "Figure 4 of the paper: activations after training under standard initialisation, 300 test examples, 1 seed. "
        "The paper shows 1.9 million updates. " + verdicts(results, "GB-18"),
        frame,
    )


def at_start(quantity: str, number: int, said: str) -> Callable[[Results], Picture]:
    """Figures 6, 7, 8: densities at initialisation, standard above, normalized below."""

    def figure(results: Results) -> Picture:
        initial = results.grid("initial")
        if initial.histograms.empty:
            raise Missing("no histograms in the grid initial")
        frame = histogram_frame(initial, quantity, 0, ["standard", "glorot"])
        frame = frame.replace({"group": {"glorot": "normalized"}})  # as the paper calls it
        return Picture(
            draw_histograms(frame),
            f"Figure {number} of the paper: {label(quantity)} at initialisation, tanh, 300 test examples, 1 seed; "
            f"standard above, normalized below. In the paper, {said}.",
            frame,
        )

    return figure


def figure9(results: Results) -> Picture:
    """Standard deviation of the weight gradients in training."""
    networks = {"Tanh": TANH, "Tanh N": TANH_N}
    parts = [histories.deviation_frame(name, grid, results, PAPER_DW[name]) for name, grid in networks.items()]
    frame = pd.concat(parts, ignore_index=True)
    return Picture(
        draw_stacked(frame, histories.draw_deviations),
        "Figure 9 of the paper: plus and minus the standard deviation of a batch's weight gradients in training "
        "(running mean of 5 observations), standard above, normalized below. Absolute scales depend on how the batch "
        f"is averaged, which the paper does not say. Means over {seeds_in(frame)}. {verdicts(results, 'GB-19')}",
        frame,
    )


def figure10(results: Results) -> Picture:
    """Figure 3 for tanh with normalized initialisation."""
    return percentiles(
        {"Tanh N": TANH_N},
        results,
        "Figure 10 of the paper: as figure 3, tanh with normalized initialisation.",
        "GB-21",
    )


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
    "figure5": surfaces.figure5,
    "figure6": at_start(
        "h", 6, "standard activations crowd around 0 in the upper layers, normalized ones keep their width"
    ),
    "figure7": at_start("dz", 7, "standard gradients crowd around 0 in the lower layers, normalized ones overlap"),
    "figure8": at_start("dw", 8, "all layers overlap under both, and normalized gradients are several times larger"),
    "figure9": figure9,
    "figure10": figure10,
    "figure11": errors.figure11,
    "figure12": errors.figure12,
    "training": _grid_figure(curve_picture),
    "heatmap": _grid_figure(heatmap_picture),
    "speeds": _grid_figure(speed_picture),
}
