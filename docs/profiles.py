"""The README's first picture: `python docs/profiles.py` trains five families, a minute or two, and draws it."""

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path

import vgexp
from vgexp.figures import draw_group, numbered, panels, profile_frame
from vgexp.figures.style import layer_axis, legend
from vgexp.results import Results

FAMILIES = ("residual", "reversible", "dense", "highway", "plain")
DEPTH = 30
STEPS = 300
SWEEP = (
    *(
        "data=digits",
        "data.batch_size=64",
        f"model.family={','.join(FAMILIES)}",
        f"model.depth={DEPTH}",
        "model.width=200",
    ),
    *("init.name=standard", "optim.lr=0.1", f"steps={STEPS}", "probe.every=ends", "eval.every=ends", "seed=0,1,2"),
)
TARGET = Path(__file__).with_suffix(".png")


def draw(results: Results) -> None:
    """Saves the picture: rms(dx) over that of the last hidden layer, before and after training, theory as lines."""
    last = results.layers[(results.layers["layer"] == DEPTH) & (results.layers["part"] == "")]
    scale = results.layers.merge(last, on=["run", "step"], suffixes=("", "_last"))["dx_rms_last"]
    relative = replace(results, layers=results.layers.assign(dx_rms=results.layers["dx_rms"] / scale))
    errors = results.runs.groupby("model.family")["final_valid_error"].mean()
    titles = {0: "at initialisation (lines: theory)", STEPS: f"after {STEPS} updates"}
    with panels(1, 2, size=(8.2, 3.3), sharey=True) as (figure, axes):
        for ax, (step, title) in zip(axes[0], titles.items(), strict=True):
            frame = profile_frame(relative, step)
            frame = frame[frame["quantity"] == "dx_rms"]
            for number, family in enumerate(FAMILIES):
                rows = frame[frame["group"] == family].set_index("layer")
                columns = ["value", "low", "high"] + ["theory"] * (step == 0)
                if step == 0:
                    rows["theory"] /= rows["theory"][DEPTH]
                text = f"{family} (error {errors[family]:.0%})"
                look = numbered(number)
                fmt = look.marker if step == 0 else f"{look.marker}-"
                rows = rows.reset_index()[["layer", *columns]]
                draw_group(ax, rows, "layer", look, text, fmt, markersize=3.5, linewidth=0.5)
            ax.set_yscale("log")
            ax.set_title(title, loc="left", fontsize=9)
            layer_axis(ax)
        axes[0, 0].set_ylabel(f"gradient, relative to layer {DEPTH}")
        legend(figure, axes[0, 1], columns=5)
        figure.savefig(TARGET, dpi=160)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        draw(vgexp.run(*SWEEP, "name=profiles"))
