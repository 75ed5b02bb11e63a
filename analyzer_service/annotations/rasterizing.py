"""Polygons as masks of pixels."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.annotations.regions import Polygon, Ring

Mask = NDArray[np.bool_]

_EDGES_AT_ONCE: Final = 4096
"""So many edges are crossed with the rows at a time, which bounds memory."""


def rasterize(polygons: Iterable[Polygon], shape: tuple[int, int]) -> Mask:
    """Pixels whose centers lie inside any of the polygons; holes are outside.

    The center of pixel ``[row, col]`` is ``(x, y) = (col + 0.5, row + 0.5)``. One that lies on an
    outline belongs to the area to its right, or below: areas that share an outline share no
    pixel, and leave none out. What is beyond the image is cut off.

    Parameters
    ----------
    polygons : iterable of Polygon
        In pixels of the image. Where two overlap is inside.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    ndarray of shape `shape`, bool

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    >>> rasterize([Polygon((square,))], (2, 3)).astype(int)
    array([[1, 1, 0],
           [0, 0, 0]])
    """
    mask = np.zeros(shape, dtype=np.bool_)
    for polygon in polygons:
        _add(polygon, mask)
    return mask


def _add(polygon: Polygon, mask: Mask) -> None:
    """Fill one polygon, within the rectangle of pixels that it can reach."""
    corners = polygon.rings[0]
    height, width = mask.shape
    first_col, first_row = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    last_col, last_row = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    if first_col >= last_col or first_row >= last_row:
        return
    window = mask[first_row:last_row, first_col:last_col]
    crossed = np.zeros((window.shape[0], window.shape[1] + 1), dtype=np.int64)
    for ring in polygon.rings:
        _cross(ring, crossed, (int(first_row), int(first_col)))
    # The even-odd rule along each row of centers: inside after an odd number of outlines.
    window |= np.cumsum(crossed[:, :-1], axis=1) % 2 == 1


def _cross(ring: Ring, crossed: NDArray[np.int64], corner: tuple[int, int]) -> None:
    """Count at the first center to the right of where an outline crosses a row of centers.

    `crossed` is a window of the image whose top left pixel is `corner`. Places are computed in
    the whole image, so that two areas find a shared edge at the same one, to the last bit.
    """
    centers = ring - 0.5  # now at whole numbers
    edges = np.stack([centers[:-1], centers[1:]], axis=1)
    for start in range(0, len(edges), _EDGES_AT_ONCE):
        chunk = edges[start : start + _EDGES_AT_ONCE]
        upward = chunk[:, 0, 1] > chunk[:, 1, 1]
        chunk[upward] = chunk[upward, ::-1]  # all downward, for the same reason
        row, column = _crossings(chunk, corner[0], corner[0] + crossed.shape[0])
        inside = np.clip(column - corner[1], 0, crossed.shape[1] - 1).astype(np.int64)
        np.add.at(crossed, (row - corner[0], inside), 1)


def _crossings(
    edges: NDArray[np.float64], first_row: int, end_row: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Row, and first column at or beyond it, of each crossing of edges (n, 2, 2) and rows."""
    first, end = np.clip(np.ceil(edges[:, :, 1]), first_row, end_row).astype(np.int64).T
    count = end - first
    edge = np.repeat(np.arange(len(edges)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    (x, y), (to_x, to_y) = edges[edge, 0].T, edges[edge, 1].T
    return row, np.ceil(x + (row - y) * (to_x - x) / (to_y - y))
