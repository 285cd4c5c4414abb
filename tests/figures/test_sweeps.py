import io
from math import prod

import pytest
from drawn import assert_drawn
from many import many
from pyarrow import csv

import vgexp
from vgexp.figures.curves import draw_curves
from vgexp.figures.heatmaps import draw_heatmaps
from vgexp.figures.histograms import draw_histograms
from vgexp.figures.pictures import GROUPS_SHOWN, save
from vgexp.figures.profiles import draw_profiles
from vgexp.figures.speeds import draw_speeds
from vgexp.figures.sweeps import draw_all, plot

DRAW = {
    "profile": draw_profiles,
    "heatmap": draw_heatmaps,
    "curves": draw_curves,
    "speeds": draw_speeds,
    "histogram_h": draw_histograms,
    "histogram_dz": draw_histograms,
    "histogram_dw": draw_histograms,
}
NUMBERS = ["value", "low", "high", "theory", "density"]
"""Columns of a frame that are drawn as heights or colors."""


def test_every_figure_is_drawn_with_labels_on_both_axes(sweep):
    drawn = draw_all(sweep)
    assert list(drawn) == list(DRAW)
    for name, picture in drawn.items():
        axes = [ax for ax in picture.figure.axes if ax.get_label() != "<colorbar>"]
        assert any(ax.get_xlabel() for ax in axes), name
        assert any(ax.get_ylabel() for ax in axes), name
        assert "seed" in picture.caption, name
        assert not picture.frame.empty, name
        assert {"group", "quantity", "step"} <= set(picture.frame), name


def test_pictures_show_what_is_in_their_frames_and_nothing_else(sweep):
    for picture in draw_all(sweep).values():
        assert_drawn(picture, *(column for column in NUMBERS if column in picture.frame))


def test_frames_are_enough_to_draw_the_figures_again(sweep, tmp_path):
    """Even after they have been text, as on a page."""
    for name, picture in draw_all(sweep).items():
        text = io.BytesIO(picture.frame.to_csv(index=False).encode())
        again = DRAW[name](csv.read_csv(text).to_pandas())  # to the last digit, as pandas does since 3.1
        assert save(again, tmp_path / "again", name) == save(picture.figure, tmp_path / "first", name), name


@pytest.mark.parametrize("runs", [1, 6])
def test_legends_lie_within_their_figures(sweep, runs):
    """A single panel is narrow."""
    for name, picture in draw_all(sweep.select(list(sweep.runs["run"][:runs]))).items():
        picture.figure.draw_without_rendering()
        for legend in picture.figure.legends:
            extent = legend.get_window_extent()
            assert 0 <= extent.x0 < extent.x1 <= picture.figure.bbox.width, name


@pytest.mark.parametrize(
    "fields",
    [
        {"model__activation": ["tanh"]},
        {"model__activation": [f"an_activation_with_a_long_name_{i}" for i in range(12)]},
        {"model__activation": "abcde", "init__name": "fghi", "optim__lr": [10**-i for i in range(10)]},
    ],
    ids=lambda fields: str(prod(len(values) for values in fields.values())),
)
def test_any_number_of_groups_has_a_place(sweep, fields, tmp_path):
    """Warnings are errors: a layout that does not hold warns. All is drawn that is in the frames."""
    for name, picture in draw_all(many(sweep, **fields)).items():
        save(picture.figure, tmp_path, name)
        groups = prod(len(values) for values in fields.values())
        shown = groups if name in ("profile", "curves") else min(groups, GROUPS_SHOWN)
        assert picture.frame["group"].nunique() == shown, name
        assert_drawn(picture, *(column for column in NUMBERS if column in picture.frame))
        assert picture.figure.get_figwidth() < 10
        for legend in picture.figure.legends:
            extent = legend.get_window_extent()
            assert 0 <= extent.x0 < extent.x1 <= picture.figure.bbox.width, name


def test_choices_draw_the_figures_that_heed_them(sweep):
    assert list(plot(sweep)) == list(DRAW)
    assert list(plot(sweep, only=["curves", "profile"])) == ["profile", "curves"]
    assert list(plot(sweep, color="family")) == ["profile", "curves"]
    at_end = plot(sweep, step=40)
    assert set(at_end) == {"profile", "histogram_h", "histogram_dz", "histogram_dw"}
    assert all("step 40" in picture.caption for picture in at_end.values())
    assert list(plot(sweep, x="family", y="dz_rms")) == ["dz_rms_over_model.family"]
    facets = plot(sweep, facet="model.family", only=["profile"])["profile"].figure
    assert len(facets.axes) == 6


def test_runs_without_training_have_no_curves(sweep):
    assert list(draw_all(vgexp.run("data=digits", "model.depth=2", "steps=0"))) == ["profile"]
    assert draw_all(sweep.select([])) == {}
