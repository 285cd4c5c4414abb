"""What a figure shows, in numbers."""

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection


def heights(figure: Figure) -> np.ndarray:
    """Every finite number that is drawn upwards or in color: marks, points of lines, ends of bars, bands, cells.

    Vertical guides and the lower edge at 0 of a filled step are not: they show a place on the other axis, and nothing.
    """
    found = [np.zeros(0)]
    for ax in figure.axes:
        if ax.get_label() == "<colorbar>":
            continue
        lines = [np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()]
        vertical = [line.get_transform() == ax.get_xaxis_transform() for line in ax.get_lines()]
        found += [line for line, guide in zip(lines, vertical, strict=True) if not guide]
        found += [np.asarray(image.get_array()) for image in ax.images]
        for one in ax.collections:
            if isinstance(one, QuadMesh):
                found.append(np.ma.filled(one.get_array(), np.nan))
            elif isinstance(one, Line3DCollection):
                found += [np.asarray(segment)[:, 2] for segment in one._segments3d]
            elif isinstance(one, LineCollection):
                found += [segment[:, 1] for segment in one.get_segments() if len(segment)]
            elif isinstance(one, PolyCollection):
                edges = [path.vertices[:, 1] for path in one.get_paths()]
                found += [edge[edge != 0] for edge in edges]
    values = np.concatenate([np.ravel(one) for one in found])
    return np.unique(values[np.isfinite(values)])


def framed(picture, *columns) -> np.ndarray:
    """The finite numbers in these columns of a picture's frame."""
    values = picture.frame[list(columns)].to_numpy(dtype=float)
    return np.unique(values[np.isfinite(values)])


def assert_among(some, all):
    """That each number of `some` is one of `all`."""
    nearest = np.abs(some[:, None] - all[None, :]).min(axis=1)
    assert (nearest <= 1e-9 * np.abs(some) + 1e-300).all(), some[nearest > 1e-9 * np.abs(some)]


def assert_drawn(picture, *columns):
    """That a picture shows the finite numbers of these columns of its frame, all of them and no others."""
    there, shown = framed(picture, *columns), heights(picture.figure)
    assert len(there) and len(shown)
    assert_among(there, shown)
    assert_among(shown, there)
