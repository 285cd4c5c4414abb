"""Every figure beside one that was looked at: `python tests/figures/test_golden.py` draws those in `golden` anew.

A figure may differ from its golden one by what other versions of the libraries do to letters and edges: sizes by a few
per cent, and pixels, averaged over blocks, by a share of what ink there
is.
"""

import contextlib
import io
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from watched import backpropagate, batch, mlp

import vgexp
from vgexp.figures.pictures import Picture
from vgexp.figures.profiles import profile_picture
from vgexp.figures.relations import relation_picture
from vgexp.figures.style import STYLE
from vgexp.figures.sweeps import FIGURES, draw_all
from vgexp.figures.watched import watched_picture

GOLDEN = Path(__file__).parent / "golden"
DPI = 70
BLOCK = 8
"""Pixels a side that are averaged: more than letters and lines differ by."""
MOVED = 3
"""Pixels by which all of a figure may have moved: labels of axes may be a little wider."""
TOLERANCE = 0.15
"""The largest mean absolute difference, over the mean ink of the golden figure."""
SWEEP = (
    *("data=digits", "model.activation=tanh,relu", "init.name=standard,he", "model.depth=2,6", "model.width=30"),
    *("steps=30", "probe=full", "probe.every=3", "eval.every=15", "seed=0,1,2"),
)
NAMES = [*FIGURES, "relation", "watched"]


def pictures(results) -> dict[str, Picture]:
    relation = relation_picture(results, "depth", "dz_rms", color="init.name")
    return draw_all(results) | {"relation": relation, "watched": watched_picture(recorded())}


def recorded() -> pd.DataFrame:
    """What a monitor saw of six layers with sigmoids over ten steps."""
    model, (x, y) = mlp(nn.Sigmoid, depth=6), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with vgexp.watch(model, every=1) as monitor:
        for _ in range(10):
            optimizer.zero_grad()
            backpropagate(model, x, y)
            monitor.step()
            optimizer.step()
    return monitor.frame()


def pixels(picture) -> np.ndarray:
    """Ink, from 0 to 1, of a figure as it is saved."""
    stream = io.BytesIO()
    with mpl.rc_context(STYLE):
        picture.figure.savefig(stream, format="png", dpi=DPI)
    return ink(stream)


def ink(file) -> np.ndarray:
    return 1 - np.asarray(Image.open(file).convert("RGB"), dtype=float) / 255


def difference(ours, golden) -> float:
    """Mean absolute difference of blocks, over the mean ink of the golden figure; infinite for another size."""
    if any(abs(a - b) > 0.03 * b + 2 for a, b in zip(ours.shape, golden.shape, strict=True)):
        return np.inf
    height, width = (min(sizes) - 2 * MOVED for sizes in zip(ours.shape[:2], golden.shape[:2], strict=True))
    still = blurred(golden[MOVED : MOVED + height, MOVED : MOVED + width])
    moved = (blurred(ours[y : y + height, x : x + width]) for y in range(2 * MOVED + 1) for x in range(2 * MOVED + 1))
    return min(float(abs(image - still).mean()) for image in moved) / float(golden.mean())


def blurred(image) -> np.ndarray:
    height, width = (BLOCK * (size // BLOCK) for size in image.shape[:2])
    parts = image[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    return parts.mean(axis=(1, 3))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    with contextlib.chdir(tmp_path_factory.mktemp("golden")):
        results = vgexp.run(*SWEEP)
    return pictures(results) | {"later": profile_picture(results, 30)}


@pytest.mark.parametrize("name", NAMES)
def test_figures_look_as_they_did_when_they_were_looked_at(drawn, name):
    assert difference(pixels(drawn[name]), ink(GOLDEN / f"{name}.png")) < TOLERANCE


def test_another_figure_is_told_apart(drawn):
    """The same groups and axes, other numbers; not so one that lies a little elsewhere."""
    assert difference(pixels(drawn["later"]), ink(GOLDEN / "profile.png")) > TOLERANCE
    moved = np.roll(ink(GOLDEN / "profile.png"), 2, axis=(0, 1))
    assert difference(moved, ink(GOLDEN / "profile.png")) < TOLERANCE


def test_every_golden_figure_is_one_that_is_drawn():
    assert sorted(path.stem for path in GOLDEN.glob("*.png")) == sorted(NAMES)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        found = pictures(vgexp.run(*SWEEP))
    for title, picture in found.items():
        with mpl.rc_context(STYLE):
            picture.figure.savefig(GOLDEN / f"{title}.png", dpi=DPI)
