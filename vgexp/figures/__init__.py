"""Tables to pictures, in the house style."""

from vgexp.figures.histories import count
from vgexp.figures.style import AXES, COLORS, MARKERS, Picture, Table, label_panel, legend, panels, save
from vgexp.figures.sweeps import watched

__all__ = [
    "AXES",
    "COLORS",
    "MARKERS",
    "Picture",
    "Table",
    "count",
    "label_panel",
    "legend",
    "panels",
    "save",
    "watched",
]
