import pytest

import vgexp
from vgexp.figures.sweeps import draw_all


def test_every_figure_is_drawn_with_labels_on_both_axes(sweep):
    drawn = draw_all(sweep)
    assert list(drawn) == ["profile", "heatmap", "curves", "speeds", "histogram_h", "histogram_dz", "histogram_dw"]
    for name, picture in drawn.items():
        axes = [ax for ax in picture.figure.axes if ax.get_label() != "<colorbar>"]
        assert any(ax.get_xlabel() for ax in axes), name
        assert any(ax.get_ylabel() for ax in axes), name
        assert "seed" in picture.caption, name
        assert not picture.frame.empty, name
        assert {"group", "quantity", "step"} <= set(picture.frame), name


@pytest.mark.parametrize("runs", [1, 6])
def test_legends_lie_within_their_figures(sweep, runs):
    """A single panel is narrow."""
    for name, picture in draw_all(sweep.select(list(sweep.runs["run"][:runs]))).items():
        picture.figure.draw_without_rendering()
        for legend in picture.figure.legends:
            extent = legend.get_window_extent()
            assert 0 <= extent.x0 < extent.x1 <= picture.figure.bbox.width, name


def test_runs_without_training_have_no_curves(sweep):
    assert list(draw_all(vgexp.run("data=digits", "model.depth=2", "steps=0"))) == ["profile"]
    assert draw_all(sweep.select([])) == {}
