"""What a figure shows, in numbers."""

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure


def heights(figure: Figure) -> np.ndarray:
    """Every finite number that is drawn upwards or in color: marks, points of lines, ends of bars, bands, cells."""
    found = []
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            continue
        found += [np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()]
        for one in ax.collections:
            if isinstance(one, QuadMesh):
                found.append(np.ma.filled(one.get_array(), np.nan).ravel())
            elif isinstance(one, LineCollection):
                found += [segment[:, 1] for segment in one.get_segments() if len(segment)]
            elif isinstance(one, PolyCollection):
                found += [path.vertices[:, 1] for path in one.get_paths()]
    values = np.concatenate([np.ravel(one) for one in found])
    return np.unique(values[np.isfinite(values)])


def assert_drawn(picture, *columns):
    """That a picture shows the finite numbers of these columns of its frame, all of them and no others."""
    framed = picture.frame[list(columns)].to_numpy(dtype=float)
    framed = np.unique(framed[np.isfinite(framed)])
    shown = heights(picture.figure)
    assert len(framed) and len(shown)
    for these, those in ((framed, shown), (shown, framed)):
        nearest = np.abs(these[:, None] - those[None, :]).min(axis=1)
        assert (nearest <= 1e-9 * np.abs(these) + 1e-300).all()
