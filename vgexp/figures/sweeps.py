"""Figures: tables in, matplotlib figures out. Theory is drawn as lines, measurements as points with 95 % intervals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from vgexp.config import from_row
from vgexp.figures.style import (
    AXES,
    COLORS,
    MARKERS,
    Picture,
    label_panel,
    layer_axis,
    layer_color,
    legend,
    log_if_decades,
    panels,
    step_axis,
    tiles,
)
from vgexp.results import Results, by_depth, estimate, groups, layer_array
from vgexp.theory import covers
from vgexp.theory.expected import expected

MOST_PANELS = 6
MOST_LINES = 6
SMOOTHED = 5
"""Observations averaged in a training curve: a batch of 10 is noisy."""


def draw_all(results: Results) -> dict[str, Picture]:
    """Every figure that the results can fill, by name."""
    drawn: dict[str, Picture] = {}
    if results.layers.empty:
        return drawn
    drawn["profile"] = profiles(results)
    trained = results.runs[results.runs["steps"] > 0]
    if not trained.empty:
        training = results.select(list(trained["run"]))
        drawn["heatmap"] = heatmap(training)
        drawn["curves"] = curves(training)
        drawn["speeds"] = speeds(training)
    if not results.histograms.empty:
        first = int(results.histograms["step"].min())
        for quantity in ("h", "dz", "dw"):
            drawn[f"histogram_{quantity}"] = histograms(results, quantity, first)
    return drawn


def profiles(results: Results, step: int = 0) -> Picture:
    """h, dz and dW over depth at one step, all runs in one picture, theory as lines."""
    found = groups(results.runs, besides="model.depth")
    lines: dict[str, pd.DataFrame] = {}
    with panels(1, 3) as (figure, axes):
        for ax, column in zip(axes[0], ("h_std", "dz_rms", "dw_rms"), strict=True):
            for number, (name, runs) in enumerate(found.items()):
                draw_profile(ax, results, runs, column, number, name, step, lines)
            layer_axis(ax)
            log_if_decades(ax)
            ax.set_ylabel(AXES[column])
        legend(figure, axes[0, 0])
    seeds = min(len(runs) for runs in found.values())
    return Picture(
        figure,
        f"Profiles over depth at step {step}: points are means over seeds with 95 % intervals of log10 "
        f"(at least {seeds} seed{'s' * (seeds != 1)}), lines are mean-field theory (for h and dz). "
        "Gradients vanish where dz falls towards layer 1.",
    )


def draw_profile(
    ax: Axes,
    results: Results,
    runs: pd.DataFrame,
    column: str,
    number: int,
    name: str,
    step: int,
    lines: dict[str, pd.DataFrame],
) -> None:
    """One group's points with intervals over seeds, and at step 0 the theory's line, kept in `lines` by run."""
    color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
    for depth, members in by_depth(runs):
        values_SL = layer_array(results.layers, list(members["run"]), column, step)[:, :depth]
        layers = np.arange(1, values_SL.shape[1] + 1)
        points, below, above = intervals(values_SL)
        size = 4 if depth <= 15 else 2.5
        ax.errorbar(layers, points, [below, above], fmt=marker, ms=size, color=color, label=name, elinewidth=0.8)
        name = "_"  # one legend entry a group
        if step == 0:
            first = members.sort_values("seed").iloc[0]
            if first["run"] not in lines:
                run = from_row({str(key): value for key, value in first.items()})
                lines[first["run"]] = expected(run) if covers(run) else pd.DataFrame()
            if column in lines[first["run"]]:
                ax.plot(layers, lines[first["run"]][column].to_numpy()[:depth], color=color, linewidth=1)


def intervals(values_SL: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Geometric means over seeds and the distances to their 95 % interval's ends."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [estimate(column[np.isfinite(column)]) for column in np.log10(values_SL).T]
    points = np.array([10**one.point for one in logs])
    low = np.nan_to_num(points - np.array([10**one.low for one in logs]))
    high = np.nan_to_num(np.array([10**one.high for one in logs]) - points)
    return points, low, high


def heatmap(results: Results, column: str = "dz_rms") -> Picture:
    """One quantity by layer and step, a panel a group (its first seed)."""
    found = list(groups(results.runs).items())[:MOST_PANELS]
    grids = {}
    for name, runs in found:
        one = results.layers[results.layers["run"] == runs["run"].iloc[0]]
        one = one[one["layer"] <= runs["model.depth"].iloc[0]]
        grids[name] = one.pivot(index="layer", columns="step", values=column)
    values = np.concatenate([grid.to_numpy().ravel() for grid in grids.values()])
    positive = values[(values > 0) & np.isfinite(values)]
    norm = LogNorm(positive.min(), positive.max()) if len(positive) else None
    with tiles(len(found)) as (figure, axes):
        for ax, (name, grid) in zip(axes, grids.items(), strict=True):
            at = step_axis(ax, grid.columns.to_numpy())
            ax.pcolormesh(
                _cell_edges(at, ax.get_xscale() == "log"),
                np.arange(len(grid) + 1) + 0.5,
                grid.to_numpy(),
                norm=norm,
                cmap="viridis",
                rasterized=True,
            )
            label_panel(ax, name)
            ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].set_ylabel("layer")
        figure.colorbar(ScalarMappable(norm, "viridis"), ax=axes, label=AXES.get(column, column))
    return Picture(figure, f"{AXES.get(column, column)} by layer and step, on one log colour scale (1 seed a panel).")


def curves(results: Results) -> Picture:
    """Training loss and error over steps, mean and range over seeds; held-out error as separate marks."""
    with panels(1, 2) as (figure, axes):
        for number, (name, runs) in enumerate(groups(results.runs).items()):
            steps = results.steps[results.steps["run"].isin(runs["run"])]
            color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
            for ax, column, held_out in (
                (axes[0, 0], "train_loss", "valid_loss"),
                (axes[0, 1], "train_error", "valid_error"),
            ):
                table = steps.dropna(subset=[column]).pivot(index="step", columns="run", values=column)
                at = step_axis(ax, table.index.to_numpy())
                # Log-spaced observations lie too far apart to be averaged.
                window = 1 if ax.get_xscale() == "log" else SMOOTHED
                smooth = table.rolling(window, min_periods=1, center=True).mean()
                ax.plot(at, smooth.mean(axis=1), color=color, label=name)
                if smooth.shape[1] > 1:
                    ax.fill_between(at, smooth.min(axis=1), smooth.max(axis=1), color=color, alpha=0.15, linewidth=0)
                valid = steps.dropna(subset=[held_out]).groupby("step")[held_out].apply(list)
                for step, values in valid.items():
                    one = estimate(values)
                    reach = [[np.nan_to_num(one.point - one.low)], [np.nan_to_num(one.high - one.point)]]
                    shown = int(str(step)) + (ax.get_xscale() == "log")
                    ax.errorbar([shown], [one.point], reach, fmt=marker, color=color, capsize=2)
        evaluated = results.steps["valid_error"].notna().any()
        for ax, label in zip(axes[0], ("loss (nats)", "error rate"), strict=True):
            ax.set_ylabel(label)
        legend(figure, axes[0, 0])
    return Picture(
        figure,
        f"Training: lines are the batch's loss and error (evenly spaced ones as means of {SMOOTHED}; band: "
        "range over seeds)" + (", marks with 95 % intervals over seeds the validation set's." if evaluated else "."),
    )


def speeds(results: Results) -> Picture:
    """How fast each layer learns, relative to its weights, over training: one panel a group, one colour a
    layer."""
    found = list(groups(results.runs).items())[:MOST_PANELS]
    with tiles(len(found)) as (figure, axes):
        for ax, (name, runs) in zip(axes, found, strict=True):
            rows = results.layers[results.layers["run"].isin(runs["run"])]
            depth = int(runs["model.depth"].iloc[0])
            mean = rows[rows["update_ratio"] > 0].groupby(["layer", "step"])["update_ratio"]
            table = mean.apply(lambda x: 10 ** np.log10(x).mean()).unstack(0)
            at = step_axis(ax, table.index.to_numpy())
            for layer in (int(str(column)) for column in table.columns):
                readout = layer > depth
                color = "0.5" if readout else layer_color(layer, depth)
                text = "readout" if readout else {1: "layer 1", depth: "last hidden layer"}.get(layer, "_")
                ax.plot(at, table[layer], color=color, label=text, linestyle="--" if readout else "-")
            log_if_decades(ax)
            label_panel(ax, name)
        axes[0].set_ylabel(AXES["update_ratio"])
        legend(figure, axes[0])
    return Picture(
        figure,
        "Relative speed of each layer, rms of the update over rms of the weights (geometric mean of seeds): "
        "where the lines lie apart, parts of the network learn at different speeds.",
    )


def histograms(results: Results, quantity: str, step: int = 0, names: Sequence[str] = ()) -> Picture:
    """Densities by layer at one step, a row a group (one seed) that has any."""
    recorded = set(results.histograms.loc[results.histograms["step"] == step, "run"])
    found = {name: runs for name, runs in groups(results.runs).items() if runs["run"].iloc[0] in recorded}
    chosen = [(name, found[name]) for name in (names or list(found)[:MOST_PANELS])]
    with panels(len(chosen), 1, sharex=True, size=(3.4, 1.7 * len(chosen) + 0.4)) as (figure, axes):
        for ax, (name, runs) in zip(axes[:, 0], chosen, strict=True):
            span = draw_densities(ax, results, runs.iloc[0], quantity, step)
            ax.set_ylim(bottom=0)
            label_panel(ax, name)
            if span > 0:
                ax.set_xlim(-span, span)
        axes[-1, 0].set_xlabel(AXES[quantity])
        axes[0, 0].legend()
    return Picture(
        figure, f"Densities of the {AXES[quantity]} by layer at step {step} (1 seed, the examples observed)."
    )


def draw_densities(ax: Axes, results: Results, run: pd.Series, quantity: str, step: int) -> float:
    """One run's densities by layer; the half-width that holds nearly all of the widest layer's mass."""
    rows, depth = results.histograms, int(run["model.depth"])
    rows = rows[(rows["run"] == run["run"]) & (rows["quantity"] == quantity) & (rows["step"] == step)]
    rows = rows[rows["layer"] <= depth]
    for layer, edges, density in zip(rows["layer"], rows["edges"], rows["density"], strict=True):
        middle = (np.asarray(edges)[1:] + np.asarray(edges)[:-1]) / 2
        ax.plot(middle, density, color=layer_color(layer, depth), label=f"layer {layer}")
    ax.set_ylabel("density")
    return _central(rows)


def _cell_edges(at: np.ndarray, log: bool) -> np.ndarray:
    """Edges of cells around their positions."""
    x = np.log(at) if log else at.astype(float)
    if len(x) == 1:
        edges = np.array([x[0] - 0.5, x[0] + 0.5])
    else:
        middle = (x[1:] + x[:-1]) / 2
        edges = np.concatenate([[x[0]], middle, [x[-1]]])
    return np.exp(edges) if log else edges


def _central(rows: pd.DataFrame) -> float:
    """Half-width that holds nearly all of the widest layer's mass."""
    spans = [0.0]
    for edges, density in zip(rows["edges"], rows["density"], strict=True):
        edges, mass = np.asarray(edges), np.asarray(density) * np.diff(np.asarray(edges))
        middle = (edges[1:] + edges[:-1]) / 2
        if np.isfinite(mass).all():
            spans.append(3.5 * float(np.sqrt((mass * middle**2).sum())))
    return max(spans)


def watched(frame: pd.DataFrame) -> Picture:
    """Gradient, preactivation and weight gradient of a watched model over depth, a line a recorded step."""
    steps = sorted(frame["step"].unique())
    shown = [steps[i] for i in sorted({round(i) for i in np.linspace(0, len(steps) - 1, min(MOST_LINES, len(steps)))})]
    with panels(1, 3) as (figure, axes):
        for ax, column in zip(axes[0], ("dz_rms", "z_rms", "dw_rms"), strict=True):
            for number, step in enumerate(shown, start=1):
                rows = frame[(frame["step"] == step) & frame[column].gt(0) & np.isfinite(frame[column])]
                color = layer_color(number, len(shown))
                ax.plot(rows["layer"], rows[column], marker="o", markersize=2.5, color=color, label=f"step {step}")
            ax.set_ylabel(AXES[column])
            log_if_decades(ax)
            layer_axis(ax)
            ax.set_xlabel("call, in the order of execution")
        legend(figure, axes[0, 0], columns=MOST_LINES)
    caption = (
        "Root mean square of the gradient dz, of the preactivation z and of the weight gradient dW over the layers of "
        "the model as they run, one line a recorded step; one run. Where dz is exactly 0 there is no point."
    )
    return Picture(figure, caption)
