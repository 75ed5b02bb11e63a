"""Outlines of a tile's nuclei as polygons: the same ones that dashboards draw."""

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.nuclei import segment
from analyzer_service.figures.outlines import outlines

Ring = list[list[float]]
_DIGITS = 2


def nuclear_rings(image: NDArray[np.uint8], *, mpp: float | None) -> tuple[int, list[Ring]]:
    """Number of nuclei, and closed rings of points (x, y) in pixels of the tile.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
    mpp : float or None
        Micrometers a pixel, as dashboards take it: the tile's, else the run's.

    Examples
    --------
    >>> tile = np.full((32, 32, 3), 235, np.uint8)
    >>> tile[8:20, 8:20] = (90, 60, 150)
    >>> count, rings = nuclear_rings(tile, mpp=None)
    >>> count, len(rings), rings[0][0] == rings[0][-1]
    (1, 1, True)
    """
    labels = segment(image, mpp=mpp)
    count = int(labels.max()) if labels.size else 0
    points = outlines(labels) if count else np.empty((0, 2))
    ends = np.flatnonzero(np.isnan(points[:, 0]))
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    rounded = points.round(_DIGITS)
    return count, [rounded[start:end].tolist() for start, end in zip(starts, ends, strict=True)]
