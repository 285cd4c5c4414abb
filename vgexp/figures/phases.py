"""The phase diagram: where runs lie in the plane of sigma_b^2 and sigma_w^2, and what becomes of their gradients."""

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vgexp.claims import Missing
from vgexp.config import ConfigError, flat, from_row
from vgexp.figures.pictures import GROUPS_SHOWN, Picture, left_out, seeds_in
from vgexp.figures.recorded import of_hidden, positive, recorded
from vgexp.figures.style import label_panel, legend, tiles
from vgexp.networks import ACTIVATIONS, Activation, activation
from vgexp.results import Results, geometric_mean
from vgexp.theory import NoTheory, covers, critical_line, phase, scales

FEWEST = 2
"""Places in the plane that are worth a picture."""
COLORS_OF_FACTORS = "PuOr_r"
"""Violet where gradients vanish, orange where they explode: these differ to the color-blind too."""
LINE_POINTS = 41
MARGIN = 2.0
"""What the largest sigma_b^2 is multiplied by for the axis to end; regions are named to the right of all points."""
UNBIASED = 0.25
"""The end of the axis of sigma_b^2 where no run has biases."""
SEEN = 3.0
"""A critical line that lies more than this many times as high as the highest point is left out of sight."""
HEADROOM = 1.25
"""How far above the highest point, and the lines in sight, a panel ends."""
COLUMNS = ["group", "quantity", "step", "sigma_b2", "sigma_w2", "value", "low", "high", "seeds", "theory", "phase"]


class _Place(NamedTuple):
    """The plane that a run belongs to, and where it lies there."""

    phi: Activation
    activation: str
    variant: str
    """What sets an activation apart from others of its name."""
    sigma_w2: float
    sigma_b2: float


def phase_picture(results: Results) -> Picture:
    """What a layer multiplies dz by at initialisation, at the place of each law in the phases of its activation.

    Raises Missing for fewer than two scales of the weights of plain networks without norm.
    """
    rows = _rows(results)
    note = recorded(results, rows, "dz above 0 at step 0").note
    frame, planes = _frame(results, rows)
    points = frame[frame["value"].notna()]
    if len(points) < FEWEST:
        raise Missing(f"fewer than {FEWEST} scales of the weights of plain networks without norm")
    shares = points["high"] / points["low"]
    widest = "" if shares.isna().all() else f", with 95 % intervals of at most ±{(shares.max() ** 0.5 - 1):.1%}"
    diverging = ", where it says so with lengths that grow without end" if "diverges" in set(frame["phase"]) else ""
    return Picture(
        draw_phases(frame),
        "Phases of wide plain networks, and the runs in them. Points: what a layer multiplies rms(dz) by at "
        f"initialisation, measured, as a color (geometric mean over {seeds_in(points)}{widest}), at sigma_w^2 = fan-in "
        "x Var W of the hidden matrices. Lines: chi_1 = 1, where gradients keep their size; they vanish in the ordered "
        f"phase below and explode above{diverging}{left_out(planes)}.{note}",
        frame,
    )


def phase_frame(results: Results) -> pd.DataFrame:
    """`group quantity step sigma_b2 sigma_w2 value low high seeds theory phase`: a row for each point, in `value` the
    factor a layer; for each point of a critical line, in `theory` its sigma_w^2; and for each name of a region."""
    return _frame(results, _rows(results))[0]


def _frame(results: Results, rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The frame, and how many planes there are, of which the first get a panel."""
    found = pd.DataFrame(_measured(results, rows), columns=["phi", "name", "variant", "w2", "b2", "seed", "log10"])
    planes = list(found.groupby(["name", "variant"], sort=True))
    points: list[dict[str, Any]] = []
    phis: dict[str, Activation] = {}
    for (name, variant), runs in planes[:GROUPS_SHOWN]:
        label = f"{name}, {variant}" if found.loc[found["name"] == name, "variant"].nunique() > 1 else str(name)
        phis[label] = runs["phi"].iloc[0]
        for (w2, b2), same in runs.groupby(["w2", "b2"]):
            # Runs of one seed are no further seeds: they differ in what does not matter at initialisation, or little.
            factor = geometric_mean(10 ** same.groupby("seed")["log10"].mean().to_numpy())
            at = {"group": label, "sigma_w2": w2, "sigma_b2": b2}
            points.append(at | factor._asdict() | {"value": factor.point})
    rows = pd.DataFrame(points, columns=COLUMNS)
    if len(points) >= FEWEST:
        right = MARGIN * rows["sigma_b2"].max() or UNBIASED
        parts = [rows, _theory(phis, rows["sigma_w2"].max(), right)]
        rows = pd.concat([part.dropna(axis=1, how="all") for part in parts], ignore_index=True)
    return rows.reindex(columns=COLUMNS).assign(quantity="dz_rms", step=0), len(planes)


def _measured(results: Results, rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Of each run with a place and a gradient: the place, its seed, and log10 of the factor a layer."""
    dz = dict(zip(zip(rows["run"], rows["layer"], strict=True), rows["dz_rms"], strict=True))
    for members in results.groups().values():  # which have one place, whatever their seed
        first = members.iloc[0].to_dict()
        depth = int(first["model.depth"])
        place = _place(first) if depth > 1 else None
        for run, seed in zip(members["run"], members["seed"], strict=True):
            ends = [dz[run, layer] for layer in (1, depth) if (run, layer) in dz]
            if place is not None and len(ends) == 2:
                yield (*place, seed, math.log10(ends[0] / ends[1]) / (depth - 1))


def _rows(results: Results) -> pd.DataFrame:
    """The gradients at initialisation."""
    return positive(of_hidden(results, results.initial), "dz_rms")


def _place(row: Mapping[Any, Any]) -> _Place | None:
    """The place of a run by its row; None for one that has no phase, or is made of what is not known here."""
    run = from_row(row)
    if not covers(run):
        return None
    with suppress(NoTheory, ConfigError):
        # Digits beyond the ninth are rounding: two spellings of one scale are one point.
        sigma_w2, sigma_b2 = (float(f"{scale**2:.9g}") for scale in scales(run))
        entry, values = ACTIVATIONS[run.model.activation], flat(run)
        own = sorted(entry.reads) or (["model.depth"] if entry.of is not None else [])
        variant = ", ".join(f"{field.split('.')[-1]} {values[field]:g}" for field in own)
        return _Place(activation(run.model), run.model.activation, variant, sigma_w2, sigma_b2)
    return None


def _theory(phis: Mapping[str, Activation], highest: float, right: float) -> pd.DataFrame:
    """The critical line of each activation up to the sigma_b^2 `right`, and the regions above and below it, named at
    the right, where no run lies; `highest`: the largest sigma_w^2 of a run."""
    sigma_b2 = right * np.linspace(0, 1, LINE_POINTS) ** 2  # lines are steep at 0
    lines = {label: critical_line(phi, np.sqrt(sigma_b2)) ** 2 for label, phi in phis.items()}
    top = HEADROOM * max(highest, *(line[line <= SEEN * highest].max(initial=0.0) for line in lines.values()))
    rows = []
    for label, phi in phis.items():
        seen = lines[label] <= top
        shown = zip(sigma_b2[seen], lines[label][seen], strict=True)
        rows += [{"group": label, "sigma_b2": x, "theory": y} for x, y in shown]
        names = {phase(phi, (share * top) ** 0.5, right**0.5).name: share * top for share in (0.94, 0.06)}
        rows += [{"group": label, "sigma_b2": right, "sigma_w2": y, "phase": name} for name, y in names.items()]
    return pd.DataFrame(rows)


def draw_phases(frame: pd.DataFrame) -> Figure:
    """A panel an activation, one color scale for all."""
    points, lines = frame[frame["value"].notna()], frame[frame["theory"].notna()]
    reach = max(float(abs(np.log10(points["value"].astype(float))).max()), 0.01)
    norm, colors = Normalize(-reach, reach), mpl.colormaps[COLORS_OF_FACTORS]
    right, top = float(frame["sigma_b2"].max()), 1.06 * float(frame[["sigma_w2", "theory"]].max().max())
    with tiles(frame["group"].nunique()) as (figure, axes):
        for ax, (name, rows) in zip(axes, frame.groupby("group", sort=False), strict=True):
            line = lines[lines["group"] == name]
            ax.plot(line["sigma_b2"], line["theory"], color="0.35", lw=1.0, label=r"$\chi_1 = 1$", zorder=1)
            here = points[points["group"] == name].astype({"value": float})
            for x, y, color in zip(
                here["sigma_b2"], here["sigma_w2"], colors(norm(np.log10(here["value"]))), strict=True
            ):
                ax.plot(x, y, "o", color=color, mec="0.2", mew=0.5, ms=5, clip_on=False)
            named = rows[rows["phase"].notna()]
            for x, y, phase_name in zip(named["sigma_b2"], named["sigma_w2"], named["phase"], strict=True):
                ax.annotate(str(phase_name), (x, y), ha="right", va="center", style="italic", color="0.3")
            ax.set_xlim(-0.04 * right, right)
            ax.set_ylim(0, top)
            ax.xaxis.set_major_locator(MaxNLocator(3))
            ax.set_xlabel(r"$\sigma_b^2$")
            label_panel(ax, str(name))
        axes[0].set_ylabel(r"$\sigma_w^2$")
        bar = figure.colorbar(ScalarMappable(norm, colors), ax=axes, label="dz: factor per layer", aspect=15)
        bar.ax.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{10**value:.2g}"))
        legend(figure, axes[0])
    return figure
