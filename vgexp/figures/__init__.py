"""Figures: functions from results to a tidy frame and a picture of it, in the house style."""

from vgexp.figures.curves import curve_picture
from vgexp.figures.falls import fall_picture
from vgexp.figures.heatmaps import heatmap_picture
from vgexp.figures.histograms import (
    bins,
    densities,
    draw_densities,
    draw_histograms,
    histogram_frame,
    histogram_picture,
)
from vgexp.figures.looks import numbered
from vgexp.figures.phases import phase_picture
from vgexp.figures.pictures import Picture, Table, draw_each, save, seeds_in, svg
from vgexp.figures.profiles import profile_frame, profile_picture, signals
from vgexp.figures.recorded import positive
from vgexp.figures.series import draw_band, draw_group, draw_series
from vgexp.figures.speeds import speed_picture
from vgexp.figures.style import COLORS, MARKERS, label_panel, layer_color, legend, panels
from vgexp.figures.sweeps import draw_all, plot
from vgexp.figures.watched import watched_picture

__all__ = [
    "COLORS",
    "MARKERS",
    "Picture",
    "Table",
    "bins",
    "curve_picture",
    "densities",
    "draw_all",
    "draw_band",
    "draw_densities",
    "draw_each",
    "draw_group",
    "draw_histograms",
    "draw_series",
    "fall_picture",
    "heatmap_picture",
    "histogram_frame",
    "histogram_picture",
    "label_panel",
    "layer_color",
    "legend",
    "numbered",
    "panels",
    "phase_picture",
    "plot",
    "positive",
    "profile_frame",
    "profile_picture",
    "save",
    "seeds_in",
    "signals",
    "speed_picture",
    "svg",
    "watched_picture",
]
