"""The figures of a sweep: whatever its results can fill."""

from functools import partial

from vgexp.figures.agreement import agreement_picture
from vgexp.figures.curves import curve_picture
from vgexp.figures.heatmaps import heatmap_picture
from vgexp.figures.histograms import histogram_picture
from vgexp.figures.phases import phase_picture
from vgexp.figures.pictures import Picture, draw_each
from vgexp.figures.profiles import profile_picture
from vgexp.figures.speeds import speed_picture
from vgexp.results import Results

INITIAL = {"profile": profile_picture, "agreement": agreement_picture, "phases": phase_picture}
"""Figures of networks at initialisation."""
TRAINING = {"heatmap": heatmap_picture, "curves": curve_picture, "speeds": speed_picture}
"""Figures of the runs that train."""
HISTOGRAMS = {f"histogram_{quantity}": partial(histogram_picture, quantity=quantity) for quantity in ("h", "dz", "dw")}


def draw_all(results: Results) -> dict[str, Picture]:
    """Every figure that the results can fill, by name."""
    if results.layers.empty:
        return {}
    trained = results.select(list(results.runs.loc[results.runs["steps"] > 0, "run"]))
    drawn = draw_each(INITIAL, results) | draw_each(TRAINING, trained) | draw_each(HISTOGRAMS, results)
    return {name: picture for name, picture in drawn.items() if isinstance(picture, Picture)}
